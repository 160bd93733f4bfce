(() => {
  // A browser's way back shows pages as they were left, also to whoever comes after somebody who has signed out. The server says whose they are now.
  const shown = (is) => (document.documentElement.style.visibility = is ? "" : "hidden");
  const ask = () => {
    shown(false);
    fetch(location.href, { method: "HEAD", cache: "no-store" })
      .then((answer) => (answer.status === 401 ? location.reload() : shown(true)))
      .catch(() => shown(true));
  };
  if (performance.getEntriesByType("navigation")[0]?.type === "back_forward") ask();
  addEventListener("pageshow", (event) => event.persisted && ask());

  const Stream = EventSource;
  window.EventSource = class extends EventTarget {
    #address;
    #stream;
    #kinds = new Set();
    #tell = (event) => this.dispatchEvent(event instanceof MessageEvent ? new MessageEvent(event.type, { data: event.data }) : new Event(event.type));
    #look = () => {
      if (document.hidden) {
        this.#stream?.close();
        this.#stream = undefined;
      } else if (!this.#stream) {
        this.#stream = new Stream(this.#address);
        for (const kind of this.#kinds) this.#stream.addEventListener(kind, this.#tell);
      }
    };
    constructor(address) {
      super();
      this.#address = address;
      document.addEventListener("visibilitychange", this.#look);
      this.#look();
    }
    get readyState() {
      return this.#stream ? this.#stream.readyState : Stream.CONNECTING;
    }
    addEventListener(kind, listener) {
      super.addEventListener(kind, listener);
      if (this.#kinds.has(kind)) return;
      this.#kinds.add(kind);
      this.#stream?.addEventListener(kind, this.#tell);
    }
    close() {
      document.removeEventListener("visibilitychange", this.#look);
      this.#stream?.close();
    }
  };
})();
