// A table with a button in each column's head that sorts, and a field that searches.
let drawn = 0;

function render({ model, el }) {
  let sortedBy = -1;
  let direction = 1;
  const body = node("tbody");
  const said = node("p", { class: "said", role: "status", "aria-live": "polite" });
  const field = focusable("input", { type: "search", "aria-label": "Search in the table", placeholder: "Search" });
  // Outside the table: a caption as wide as a table that scrolls would be cut off.
  drawn += 1;
  const caption = node("p", { class: "caption", id: `sortable-caption-${drawn}` });
  const head = node("tr");
  const table = node("table", { "aria-labelledby": caption.id }, node("thead", {}, head), body);
  el.append(node("section", { class: "workbook mathjax_ignore tex2jax_ignore sortable", "aria-label": "Table" }, caption, field,
    node("div", { class: "scroll", tabindex: "0", [QUIET]: "true", role: "region", "aria-label": "Rows" }, table), said));

  const wanted = () => field.value.trim().toLowerCase();

  function draw() {
    const { columns, numeric, rows } = model.get("table");
    const shown = rows.filter((row) => row.join(" ").toLowerCase().includes(wanted()));
    if (sortedBy >= 0) {
      // Numbers as numbers, words as the reader's language orders them.
      shown.sort((a, b) => direction * (numeric[sortedBy]
        ? a[sortedBy] - b[sortedBy] : String(a[sortedBy]).localeCompare(String(b[sortedBy]))));
    }
    body.replaceChildren(...shown.map((row) => node("tr", {}, ...row.map((value, i) =>
      node("td", { class: numeric[i] ? "number" : "words" }, String(value))))));
    said.textContent = `${shown.length} of ${rows.length} rows`
      + (sortedBy >= 0 ? `, by ${columns[sortedBy]}, ${direction > 0 ? "lowest" : "highest"} first` : "");
  }

  function heads() {
    const { columns, numeric, caption: words } = model.get("table");
    caption.textContent = words;
    head.replaceChildren(...columns.map((name, i) => {
      const cell = node("th", { scope: "col", class: numeric[i] ? "number" : "words" });
      cell.append(button(name, {}, () => {
        direction = sortedBy === i ? -direction : 1;
        sortedBy = i;
        for (const other of head.children) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        draw();
      }));
      return cell;
    }));
  }

  field.addEventListener("input", draw);
  const renew = () => { heads(); draw(); };
  model.on("change:table", renew);
  renew();
  return () => model.off("change:table", renew);
}

export default { render };
