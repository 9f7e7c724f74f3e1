// The course map: it draws the model's `rows` and asks the kernel to refresh, export or reset.
const of = ({ done, total }) => (total ? `${done} of ${total}` : "–");

function when({ runs, last }) {
  if (!runs) return "not yet";
  return last ? `✓ ${last.slice(0, 10)}` : "✓";
}

function mapRow(row, isNext) {
  const title = row.file
    ? sourceNode({ notebook: row.title, heading: "", link: row.file })
    : node("span", {}, row.title);
  const head = node("th", { scope: "row" }, title);
  if (row.promise) head.append(node("span", { class: "promise" }, row.promise));
  const minutes = row.minutes ? `${row.minutes} min` : "–";
  const cells = [when(row.run), of(row.exercises), of(row.questions), minutes];
  const made = node("tr", {}, head, ...cells.map((text) => node("td", {}, text)));
  if (isNext) made.className = "next-row";
  return made;
}

function download(name, text) {
  const link = node("a", {
    href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: name,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function render({ model, el }) {
  const next = node("p", { class: "next" });
  const rows = node("tbody");
  const said = node("p", { class: "said", role: "status", "aria-live": "polite" });
  const actions = node("div", { class: "actions" });
  const heads = ["Notebook", "Run", "Exercises solved", "Questions right", "Time spent"];
  const table = node("table", {},
    node("thead", {}, node("tr", {}, ...heads.map((h) => node("th", { scope: "col" }, h)))), rows);
  el.append(node("section", { class: "workbook course-map", "aria-label": "Course map" },
    next, table, actions, said));

  let timer;
  const send = (message) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      said.textContent = "No answer from the kernel yet. Run this cell, or wait until other cells have run.";
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
  actions.append(
    button("Refresh", {}, () => send({ do: "refresh" })),
    button("Export my progress", {}, () => send({ do: "export" })), reset);

  const draw = () => {
    const { next: coming, rows: all, said: words } = model.get("map");
    clearTimeout(timer);
    const target = all.find((row) => row.number === coming);
    next.replaceChildren(...(target
      ? ["Next: ", sourceNode({ notebook: target.title, heading: "", link: target.file })]
      : ["All notebooks are done."]));
    rows.replaceChildren(...all.map((row) => mapRow(row, row.number === coming)));
    said.textContent = words;
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
