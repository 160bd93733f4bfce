// An installed Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi): as much of it as the test beside this needs.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../fixtures/server";

// The types of Node.js 20 do not have it yet.
declare const WebSocket: new (url: string) => {
  onopen: () => void;
  onerror: () => void;
  onmessage: (message: { data: string }) => void;
  send(text: string): void;
  close(): void;
};

/** Plays without being asked by a viewer, and says what it would say to a developer. */
const PREFERENCES = { "media.autoplay.default": 0, "browser.shell.checkDefaultBrowser": false, "datareporting.policy.dataSubmissionEnabled": false, "app.update.disabledForTesting": true };

/** What a page's own policy refused is nothing that the protocol tells. */
const TELL_REFUSALS = `() => addEventListener("securitypolicyviolation", (event) => console.error("refused by the page's policy: " + event.violatedDirective + " " + event.blockedURI))`;

type Answer = Record<string, any>;

export class Firefox {
  /** Errors on the consoles of all pages, and exceptions that nobody caught. */
  readonly errors: string[] = [];
  private readonly waiting = new Map<number, { resolve: (result: Answer) => void; reject: (error: Error) => void }>();
  private next = 0;

  private constructor(
    private readonly process: ChildProcess,
    private readonly profile: string,
    private readonly socket: InstanceType<typeof WebSocket>,
  ) {
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
  }

  static async launch(): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), "millrace-firefox-"));
    writeFileSync(join(profile, "user.js"), Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${value});\n`).join(""));
    const port = await freePort();
    const process_ = spawn(process.env.FIREFOX ?? "firefox-esr", ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", `${port}`], { stdio: "ignore" });
    const connect = () =>
      new Promise<InstanceType<typeof WebSocket> | undefined>((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/session`);
        socket.onopen = () => resolve(socket);
        socket.onerror = () => resolve(undefined);
      });
    let socket;
    for (let tries = 0; !socket && tries < 300 && process_.exitCode === null; tries++) {
      socket = await connect();
      if (!socket) await sleep(100);
    }
    if (!socket) throw new Error("Firefox does not answer");
    const firefox = new Firefox(process_, profile, socket);
    await firefox.ask("session.new", { capabilities: {} });
    await firefox.ask("session.subscribe", { events: ["log.entryAdded"] });
    await firefox.ask("script.addPreloadScript", { functionDeclaration: TELL_REFUSALS });
    return firefox;
  }

  ask(method: string, params: Answer): Promise<Answer> {
    const id = ++this.next;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async page(width: number, height: number): Promise<Page> {
    const { context } = await this.ask("browsingContext.create", { type: "tab" });
    await this.ask("browsingContext.setViewport", { context, viewport: { width, height } });
    return new Page(this, context);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    await this.ask("browser.close", {});
    await ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }

  private hear({ id, type, error, message, result, method, params }: Answer): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (type === "success") waiting?.resolve(result);
    else if (type === "error") waiting?.reject(new Error(`${error}: ${message}`));
    else if (method === "log.entryAdded" && params.level === "error") this.errors.push(params.text);
  }
}

/** A tab, or a frame in one. */
export class Page {
  constructor(
    private readonly firefox: Firefox,
    private readonly context: string,
  ) {}

  async goto(url: string): Promise<void> {
    await this.firefox.ask("browsingContext.navigate", { context: this.context, url, wait: "complete" });
  }

  /** The answer of a function in the page; what it is given and what it answers is JSON. */
  async evaluate<T, A extends unknown[]>(what: (...args: A) => T, ...args: A): Promise<Awaited<T>> {
    const functionDeclaration = `async () => JSON.stringify(await (${what})(...${JSON.stringify(args)}))`;
    const answer = await this.firefox.ask("script.callFunction", { functionDeclaration, awaitPromise: true, target: { context: this.context } });
    if (answer.type === "exception") throw new Error(answer.exceptionDetails.text);
    return answer.result.value && JSON.parse(answer.result.value);
  }

  /** The first frame in it. */
  async frame(): Promise<Page> {
    const { contexts } = await this.firefox.ask("browsingContext.getTree", { root: this.context });
    return new Page(this.firefox, contexts[0].children[0].context);
  }

  /** Clicks an element as a mouse does: where it is on the screen, whatever lies over it. */
  async click(selector: string): Promise<void> {
    const origin = { type: "element", element: await this.element(selector) };
    const actions = [{ type: "pointerMove", x: 0, y: 0, origin }, { type: "pointerDown", button: 0 }, { type: "pointerUp", button: 0 }];
    await this.firefox.ask("input.performActions", { context: this.context, actions: [{ type: "pointer", id: "mouse", actions }] });
  }

  async type(selector: string, text: string): Promise<void> {
    await this.click(selector);
    const actions = [...text].flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]);
    await this.firefox.ask("input.performActions", { context: this.context, actions: [{ type: "key", id: "keys", actions }] });
  }

  async choose(selector: string, file: string): Promise<void> {
    await this.firefox.ask("input.setFiles", { context: this.context, element: await this.element(selector), files: [file] });
  }

  private async element(value: string): Promise<Answer> {
    const { nodes } = await this.firefox.ask("browsingContext.locateNodes", { context: this.context, locator: { type: "css", value } });
    if (nodes.length === 0) throw new Error(`there is no ${value}`);
    return { sharedId: nodes[0].sharedId };
  }
}
