// The cost explorer: sends what was typed, draws the bills that Python made of it.
const NS = "http://www.w3.org/2000/svg";
const BOX = { width: 680, height: 282, left: 62, right: 34, top: 26, bottom: 40 };
// Typed digits arrive one by one; the bills are made of the whole number.
const WAIT_MS = 250;

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const methodClass = (line) => `m-${line.method.replace(/[^a-z]+/g, "-")}${line.here ? " here" : ""}`;
const letter = (place) => String.fromCharCode(65 + place);
const short = (n) => (n >= 1e6 ? `${n / 1e6} M` : n >= 1e3 ? `${n / 1e3}k` : String(n));

function dollars(value) {
  if (value >= 1e6) return `$${value / 1e6} M`;
  return value >= 1000 ? `$${value / 1000}k` : `$${value}`;
}

// Labels at the right end, pushed apart where lines meet.
function spread(places, gap) {
  const order = places.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
  order.forEach((one, i) => {
    if (i) one[0] = Math.max(one[0], order[i - 1][0] + gap);
  });
  const over = order.length ? order.at(-1)[0] - (BOX.height - BOX.bottom) : 0;
  const out = [];
  for (const [y, i] of order) out[i] = over > 0 ? y - over : y;
  return out;
}

function figure(screen) {
  const { width, height, left, right, top, bottom } = BOX;
  const every = screen.lines.flatMap((line) => line.points);
  const positive = every.map((point) => point[1]).filter((value) => value > 0);
  if (!positive.length) return node("p", {}, "Nothing costs anything here.");
  // Powers of ten: 100 to 10,000,000 questions, as Python gives the points.
  const [x0, x1] = [2, 7];
  // No lower than a tenth of a cent: a bill of nearly nothing would press all others together.
  const y0 = Math.max(-3, Math.floor(Math.log10(Math.min(...positive))));
  const y1 = Math.max(y0 + 1, Math.ceil(Math.log10(Math.max(...positive))));
  const x = (n) => left + ((Math.log10(n) - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => {
    const share = (Math.log10(Math.max(value, 10 ** y0)) - y0) / (y1 - y0);
    return height - bottom - share * (height - top - bottom);
  };
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
    "Dollars a month against questions a month, one line for each method; both scales logarithmic. "
    + "The lists below say where the lines cross." });
  for (let power = y0; power <= y1; power += 1) {
    const at = y(10 ** power);
    picture.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }),
      svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, dollars(10 ** power)));
  }
  for (let power = x0; power <= x1; power += 1) {
    const at = x(10 ** power);
    picture.append(svg("text", { x: at, y: height - bottom + 16, "text-anchor": "middle" },
      short(10 ** power)));
  }
  picture.append(svg("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
    "questions a month"));
  picture.append(svg("text", { x: left, y: 12 }, "dollars a month"));
  // Fewer lie to the left of the figure.
  if (screen.questions >= 100) {
    const at = x(screen.questions);
    picture.append(svg("line", { class: "now", x1: at, x2: at, y1: top, y2: height - bottom }));
  }
  const ends = spread(screen.lines.map((line) => y(line.points.at(-1)[1])), 13);
  screen.lines.forEach((line, place) => {
    const path = line.points.map(([n, value]) => `${x(n).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    picture.append(svg("polyline", { class: methodClass(line), points: path }),
      svg("text", { class: "end", x: width - right + 8, y: ends[place] + 4 }, letter(place)));
  });
  return picture;
}

function legend(screen) {
  return screen.lines.map((line, place) => node("li", {},
    svg("svg", { class: "sample", viewBox: "0 0 30 8", "aria-hidden": "true" },
      svg("line", { class: methodClass(line), x1: 0, x2: 30, y1: 4, y2: 4 })),
    node("b", {}, letter(place)), ` ${line.name}`));
}

function table(screen) {
  const heads = ["Method", "Prompt, tokens", "Jobs a month", `1,000 questions on ${screen.model}`,
    `A month on ${screen.model}`, "A month on your machine"];
  const cell = (words, lowest) => node("td", {}, words, ...(lowest ? [node("b", {}, " ✓ lowest")] : []));
  const rows = screen.rows.map((row) => node("tr", {},
    node("th", { scope: "row" }, row.method), cell(row.prompt.toLocaleString("en")), cell(row.jobs),
    cell(row.thousand), cell(row.hosted, row.lowest[0]),
    cell(row.machines > 1 ? `${row.here} (${row.machines} machines)` : row.here, row.lowest[1])));
  return node("table", {},
    node("caption", {}, `The bill for ${screen.questions.toLocaleString("en")} questions a month`),
    node("thead", {}, node("tr", {}, ...heads.map((head) => node("th", { scope: "col" }, head)))),
    node("tbody", {}, ...rows));
}

const list = (lines) => lines.map((line) => node("li", {}, line));

let explorers = 0;

function render({ model, el }) {
  explorers += 1;
  const inputs = new Map();
  const form = node("form", { class: "fields" });
  const status = node("p", { class: "said", role: "status", "aria-live": "polite" });
  const bill = node("div", { class: "scroll", tabindex: "0", [QUIET]: "true", role: "region", "aria-label": "Bills" });
  const drawing = node("div", { class: "drawing", tabindex: "0", [QUIET]: "true", role: "region", "aria-label": "Figure" });
  const key = node("ul", { class: "key" });
  const lowest = node("ul");
  const even = node("ul");
  const sources = node("ul");
  let silence;
  let pending;

  const send = (message) => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      status.textContent = SILENT;
    }, SILENCE_MS);
    try {
      model.send(message);
    } catch {
      status.textContent = "Run this cell to change the numbers.";
    }
  };
  const later = (message) => {
    clearTimeout(pending);
    pending = setTimeout(() => send(message), WAIT_MS);
  };

  const first = model.get("screen");
  const choice = focusable("select", { id: `cost-${explorers}-model` },
    ...first.models.map((name) => node("option", { value: name }, name)));
  choice.addEventListener("change", () => send({ do: "model", value: choice.value }));
  form.append(node("div", { class: "field" },
    node("label", { for: choice.id }, "Hosted model"), choice));
  for (const field of first.fields) {
    const id = `cost-${explorers}-${field.name}`;
    const attributes = { id, type: "text", inputmode: "decimal", autocomplete: "off" };
    if (field.hint) attributes["aria-describedby"] = `${id}-hint`;
    const input = focusable("input", attributes);
    const set = () => later({ do: "set", name: field.name, value: input.value });
    input.addEventListener("input", set);
    inputs.set(field.name, input);
    const parts = [node("label", { for: id }, field.label), input];
    if (field.name === "questions") parts.push(slider(input, set));
    if (field.hint) parts.push(node("span", { class: "hint", id: `${id}-hint` }, field.hint));
    form.append(node("div", { class: "field" }, ...parts));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  const again = button("Back to the first numbers", {}, () => send({ do: "reset" }));

  function slider(input, set) {
    const made = focusable("input", { type: "range", min: "2", max: "7", step: "0.05",
      "aria-label": "Questions a month, on a logarithmic scale" });
    made.addEventListener("input", () => {
      const rough = 10 ** Number(made.value);
      // Two leading digits.
      const unit = 10 ** Math.floor(Math.log10(rough) - 1);
      input.value = String(Math.round(rough / unit) * unit);
      made.setAttribute("aria-valuetext", `${Number(input.value).toLocaleString("en")} questions`);
      set();
    });
    inputs.set("slider", made);
    return made;
  }

  const draw = () => {
    const screen = model.get("screen");
    clearTimeout(silence);
    choice.value = screen.model;
    for (const field of screen.fields) {
      const input = inputs.get(field.name);
      // What is being typed stays as it is: "1e" may become "1e5".
      const busy = input === input.getRootNode().activeElement;
      if (!busy) input.value = String(field.value);
    }
    const range = inputs.get("slider");
    if (range !== range.getRootNode().activeElement) {
      range.value = String(Math.log10(Math.max(screen.questions, 100)));
      range.setAttribute("aria-valuetext", `${screen.questions.toLocaleString("en")} questions`);
    }
    status.textContent = screen.notice;
    bill.replaceChildren(table(screen));
    drawing.replaceChildren(figure(screen));
    key.replaceChildren(...legend(screen));
    lowest.replaceChildren(...list(screen.ranges));
    even.replaceChildren(...list(screen.turns));
    sources.replaceChildren(...list(screen.prices));
  };
  const heading = (words) => node("h3", {}, words);
  el.append(node("section", { class: "workbook mathjax_ignore tex2jax_ignore costs", "aria-label": "Cost explorer" },
    form, node("div", { class: "actions" }, again), status, bill,
    heading("Where another bill becomes the lowest"),
    node("p", {}, "The plain base model is left out: it is always cheaper, and knows none of your facts."),
    lowest, drawing, key,
    node("details", {}, focusable("summary", {}, "Break-even, pair by pair"), even),
    node("details", {}, focusable("summary", {}, "Prices and their dates"), sources)));
  model.on("change:screen", draw);
  draw();
  return () => {
    clearTimeout(silence);
    clearTimeout(pending);
    model.off("change:screen", draw);
  };
}

export default { render };
