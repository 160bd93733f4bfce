(() => {
  const ahead = document.currentScript.dataset.ahead.split(" ");
  const put = (element, name, value) => (value ? element.setAttribute(name, value) : element.removeAttribute(name));

  const reveal = (button) => {
    const input = button.parentElement.querySelector("input");
    button.hidden = false;
    button.onclick = () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.ariaPressed = shown;
      button.title = shown ? "Hide" : "Show";
    };
  };

  const enliven = (form) => {
    const button = form.querySelector("button:not([type])");
    const words = button.textContent;
    const error = form.querySelector("[role=alert]");
    const ids = (field) => (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id !== error.id);
    const fields = [...form.querySelectorAll("input:not([type=hidden])")].map((field) => [field, ids(field)]);
    let sending = false;

    const say = (text) => {
      error.querySelector("span").textContent = text;
      for (const [field, others] of fields) {
        put(field, "aria-invalid", text && "true");
        put(field, "aria-describedby", [text && error.id, ...others].join(" ").trim());
      }
    };
    const wait = (on) => {
      sending = on;
      put(button, "aria-disabled", on && "true");
      button.textContent = (on && button.dataset.busy) || words;
    };
    const send = async () => {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.action, { method: "POST", headers: { accept: "application/json" }, body });
      const to = answer.ok && answer.headers.get("location");
      if (to) return location.replace(to);
      const { problem, detail = problem.detail } = await answer.json();
      say(detail);
      wait(false);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      if (sending) return;
      say("");
      wait(true);
      send().catch(() => {
        say("The server cannot be reached. Check the network and try again.");
        wait(false);
      });
    };
  };

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".password button").forEach(reveal);
    document.querySelectorAll(".door form").forEach(enliven);
  });
  addEventListener("load", () => {
    if (navigator.connection?.saveData) return;
    for (const file of ahead) fetch(file, { priority: "low" }).then((answer) => answer.blob()).catch(() => {});
  });
})();
