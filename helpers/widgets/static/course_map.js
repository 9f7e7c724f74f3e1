// The course map: it draws the model's `rows` and asks the kernel to refresh, export or reset.
function facts({ run, exercises, questions, minutes }) {
  const said = [run.runs ? `✓ run ${run.last.slice(0, 10)}`.trim() : "○ not run yet"];
  if (exercises.total) said.push(`exercises ${exercises.done} of ${exercises.total}`);
  if (questions.total) said.push(`questions ${questions.done} of ${questions.total}`);
  if (run.runs) said.push(minutes ? `${minutes} min` : "under 1 min");
  return node("ul", { class: "facts" }, ...said.map((words) => node("li", {}, words)));
}

function mapRow(row, isNext, folder) {
  const what = node("div", { class: "what" },
    sourceNode({ notebook: row.title, heading: "", link: row.file }, folder));
  if (row.promise) what.append(node("span", { class: "promise" }, row.promise));
  return node("li", { class: isNext ? "row next-row" : "row" }, what, facts(row));
}

function download(name, text) {
  const link = node("a", {
    href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: name,
  });
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function render({ model, el }) {
  const next = node("p", { class: "next" });
  const rows = node("ol", { class: "rows" });
  const said = node("p", { class: "said", role: "status", "aria-live": "polite" });
  const actions = node("div", { class: "actions" });
  const folder = folderOf(model);
  let timer;
  const send = (message) => {
    clearTimeout(timer);
    // `draw` takes this back.
    timer = setTimeout(() => {
      said.textContent = SILENT;
    }, SILENCE_MS);
    try {
      model.send(message);
    } catch {
      said.textContent = "Run this cell first.";
    }
  };
  const reset = button("Reset …", {}, () => {
    reset.replaceWith(sure);
    sure.focus();
  });
  const sure = button("Forget all my progress", {}, () => {
    sure.replaceWith(reset);
    reset.focus();
    send({ do: "reset" });
  });
  // Asked once: a file that is handed in should say whose it is.
  const field = focusable("input", { type: "text", maxlength: "40", id: `nickname-${Math.random()}` });
  const hand = (event) => {
    event.preventDefault();
    ask.hidden = true;
    send({ do: "export", nickname: field.value });
  };
  const ask = node("form", { class: "ask", hidden: true },
    node("label", { for: field.id }, "A nickname for the file you hand in (may stay empty)"), field,
    focusable("button", { class: "main", type: "submit" }, "Export"));
  ask.addEventListener("submit", hand);
  const exporting = button("Export my progress", {}, () => {
    if (model.get("map").nickname) {
      send({ do: "export" });
      return;
    }
    ask.hidden = false;
    field.focus();
  });
  const undo = button("Bring it back", {}, () => send({ do: "undo" }));
  actions.append(
    button("Refresh", {}, () => send({ do: "refresh" })),
    exporting, reset, undo);

  el.append(node("section", { class: "workbook mathjax_ignore tex2jax_ignore course-map", "aria-label": "Course map" },
    next, rows, actions, ask, said));

  const draw = () => {
    const { next: coming, rows: all, said: words } = model.get("map");
    clearTimeout(timer);
    const target = all.find((row) => row.number === coming);
    next.replaceChildren(...(target
      ? ["Next: ", sourceNode({ notebook: target.title, heading: "", link: target.file }, folder)]
      : ["All notebooks are done."]));
    rows.replaceChildren(...all.map((row) => mapRow(row, row.number === coming, folder)));
    said.textContent = words;
    // The kernel offers it in the one picture that follows a reset.
    undo.hidden = !model.get("map").undo;
  };
  const onFile = (message) => {
    if (message.kind === "file") download(message.name, message.text);
  };
  model.on("change:map", draw);
  model.on("msg:custom", onFile);
  draw();
  return () => {
    clearTimeout(timer);
    model.off("change:map", draw);
    model.off("msg:custom", onFile);
  };
}

export default { render };
