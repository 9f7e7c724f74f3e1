// The chat panel: sends what was typed, draws what each model has said so far.
let chats = 0;

function noteList(notes, open) {
  const rows = notes.map(([heading, text]) => node("li", {}, node("b", {}, heading), `: ${text}`));
  const words = notes.length === 1 ? "1 note used" : `${notes.length} notes used`;
  return node("details", { class: "notes", open },
    focusable("summary", {}, words), node("ol", {}, ...rows));
}

const STATES = { waiting: "waits for its turn", writing: "writes …", stopped: "stopped", failed: "" };

function replyNode(reply, open) {
  const meta = [STATES[reply.state], reply.cost].filter(Boolean).join(" · ");
  const parts = [node("h4", {}, reply.name), node("p", { class: "said" }, reply.text)];
  if (reply.error) parts.push(node("p", { class: "error" }, reply.error));
  parts.push(node("p", { class: "meta" }, meta));
  if (reply.notes.length) parts.push(noteList(reply.notes, open));
  return node("div", { class: `reply ${reply.state}` }, ...parts);
}

function render({ model, el }) {
  chats += 1;
  const id = `chat-${chats}`;
  const first = model.get("screen");
  let silence;
  const log = node("div", { class: "log", role: "log", "aria-label": "What was said" });
  const status = node("p", { class: "status", role: "status", "aria-live": "polite" });
  const input = focusable("textarea", { id, rows: "2", maxlength: "4000" });
  const remember = focusable("input", { id: `${id}-past`, type: "checkbox" });

  const say = (message) => {
    clearTimeout(silence);
    // `draw` takes this back: any new screen is an answer.
    silence = setTimeout(() => {
      status.textContent = SILENT;
    }, SILENCE_MS);
    try {
      model.send(message);
    } catch {
      status.textContent = `${RERUN} to chat.`;
    }
  };
  const ask = (text) => {
    if (model.get("screen").busy) return;
    say({ do: "ask", text, remember: remember.checked });
    if (text.trim()) input.value = "";
  };
  const send = button("Send", { class: "main" }, () => ask(input.value));
  const stop = button("Stop", {}, () => say({ do: "stop" }));
  const clear = button("Clear", {}, () => {
    say({ do: "clear" });
    input.focus();
  });
  input.addEventListener("keydown", (event) => {
    // While a character is being composed, in Japanese say, Enter chooses it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      event.stopPropagation();
      ask(input.value);
    }
  });

  const ideas = node("p", { class: "ideas" });
  if (first.examples.length) {
    ideas.append("For instance: ");
    ideas.append(...first.examples.map((text) => button(text, { class: "idea" }, () => ask(text))));
  }
  const form = node("div", { class: "ask" },
    node("label", { for: id }, "Your question (Enter sends, Shift+Enter begins a new line)"), input,
    node("div", { class: "actions" }, send, stop, clear,
      node("span", { class: "past" }, remember,
        node("label", { for: remember.id }, "show them what was said before"))));

  const draw = () => {
    const screen = model.get("screen");
    clearTimeout(silence);
    // All turns are drawn anew for each piece of text: notes that were open stay open.
    const open = [...log.querySelectorAll("details.notes")].map((one) => one.open);
    let seen = 0;
    log.replaceChildren(...screen.turns.map((turn) => node("div", { class: "turn" },
      node("p", { class: "question" }, node("span", { class: "who" }, "you "), turn.question),
      node("div", { class: "replies" }, ...turn.replies.map((reply) => {
        const wasOpen = reply.notes.length > 0 && Boolean(open[seen]);
        if (reply.notes.length) seen += 1;
        return replyNode(reply, wasOpen);
      })))));
    log.hidden = !screen.turns.length;
    stop.disabled = !screen.busy;
    send.disabled = screen.busy;
    clear.disabled = screen.busy || !screen.turns.length;
    const writing = screen.turns.at(-1)?.replies.find((reply) => reply.state === "writing");
    const words = screen.notice || (screen.busy ? `${writing ? writing.name : "The next one"} writes …` : "");
    // Set only when it changes, or a screen reader would say it again with every piece.
    if (status.textContent !== words) status.textContent = words;
  };
  el.append(node("section", { class: "workbook mathjax_ignore tex2jax_ignore chat", "aria-label":
    `Chat with ${first.names.join(", ")}` }, log, status, form, ideas));
  model.on("change:screen", draw);
  draw();
  return () => {
    clearTimeout(silence);
    model.off("change:screen", draw);
  };
}

export default { render };
