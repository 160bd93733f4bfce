(() => {
  let told = false;
  const tell = () => {
    if (told) return;
    told = true;
    const note = document.createElement("div");
    const text = document.createElement("p");
    const button = document.createElement("button");
    note.className = "stopped";
    note.setAttribute("role", "alert");
    text.textContent = "Something on this page has stopped working. Load it anew to go on; uploads that have stopped can be continued then.";
    button.className = "button primary";
    button.textContent = "Load the page anew";
    button.onclick = () => location.reload();
    note.append(text, button);
    document.body.append(note);
  };
  // A page that is being left says such things as well, to nobody.
  const soon = (error) => error instanceof WebAssembly.RuntimeError || !document.documentElement.dataset.alive ? setTimeout(tell, 1000) : 0;
  addEventListener("error", ({ error }) => error && soon(error));
  addEventListener("unhandledrejection", ({ reason }) => soon(reason));
})();
