// The view of a fine-tuning job. It draws what the model's traits say and keeps no state.
const SVG = "http://www.w3.org/2000/svg";
const BOX = { width: 560, height: 220, left: 44, right: 92, top: 12, bottom: 34 };
const DASHES = { training: "", validation: "6 4" };

function node(tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

function shape(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

function scales(points, totalSteps) {
  const all = Object.values(points).flat();
  const lastStep = Math.max(totalSteps, ...all.map(([step]) => step), 2);
  const highest = Math.max(...all.map(([, loss]) => loss), 0.5);
  const inner = {
    width: BOX.width - BOX.left - BOX.right,
    height: BOX.height - BOX.top - BOX.bottom,
  };
  return {
    lastStep,
    highest,
    x: (step) => BOX.left + ((step - 1) / (lastStep - 1)) * inner.width,
    y: (loss) => BOX.top + (1 - loss / highest) * inner.height,
  };
}

function drawAxes(svg, scale) {
  const bottom = BOX.height - BOX.bottom;
  for (const share of [0, 0.5, 1]) {
    const loss = scale.highest * share;
    svg.append(
      shape("line", {
        class: "grid", x1: BOX.left, x2: BOX.width - BOX.right, y1: scale.y(loss), y2: scale.y(loss),
      }),
      shape("text", { x: BOX.left - 6, y: scale.y(loss) + 4, "text-anchor": "end" }, loss.toFixed(1)),
    );
  }
  for (const step of [1, scale.lastStep]) {
    svg.append(
      shape("text", { x: scale.x(step), y: bottom + 16, "text-anchor": "middle" }, String(step)),
    );
  }
  const middle = (BOX.left + BOX.width - BOX.right) / 2;
  svg.append(shape("text", { x: middle, y: bottom + 30, "text-anchor": "middle" }, "step"));
}

function endLabels(points, scale) {
  const labels = Object.entries(points)
    .filter(([, values]) => values.length)
    .map(([name, values]) => ({ name, step: values.at(-1)[0], y: scale.y(values.at(-1)[1]) }))
    .sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i += 1) {
    labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 14);
  }
  return labels;
}

function drawChart(points, totalSteps) {
  const svg = shape("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img" });
  svg.setAttribute("aria-label", "Loss by step, training and validation");
  const middle = { x: BOX.width / 2, y: BOX.height / 2, "text-anchor": "middle" };
  if (!Object.values(points).flat().length) {
    svg.append(shape("text", middle, "The curve begins with the first step."));
    return svg;
  }
  const scale = scales(points, totalSteps);
  drawAxes(svg, scale);
  for (const [name, values] of Object.entries(points)) {
    if (!values.length) continue;
    const path = values.map(([step, loss]) => `${scale.x(step)},${scale.y(loss)}`).join(" ");
    svg.append(
      shape("polyline", { class: `curve ${name}`, points: path, "stroke-dasharray": DASHES[name] }),
    );
    const [step, loss] = values.at(-1);
    svg.append(shape("circle", { class: name, cx: scale.x(step), cy: scale.y(loss), r: 3 }));
  }
  for (const { name, step, y } of endLabels(points, scale)) {
    svg.append(shape("text", { class: `label ${name}`, x: scale.x(step) + 8, y: y + 4 }, name));
  }
  return svg;
}

function render({ model, el }) {
  const root = node("section", { class: "monitor", "aria-label": "Training monitor" });
  const status = node("p", { role: "status", "aria-live": "polite", class: "line" });
  const bar = node("progress", { max: 1, value: 0, "aria-label": "Steps done" });
  const cancel = node(
    "button", { type: "button", "data-lm-suppress-shortcuts": "true" }, "Cancel this job",
  );
  const chart = node("div", { class: "chart" });
  const events = node("details");
  const summary = node("summary", { "data-lm-suppress-shortcuts": "true" }, "Events");
  const list = node("ol", { tabindex: "0", "aria-label": "Events of the job" });
  events.append(summary, list);
  const head = node("div", { class: "head" });
  head.append(bar, cancel);
  root.append(status, head, chart, events);
  root.classList.add("mathjax_ignore", "tex2jax_ignore");
  el.append(root);

  cancel.addEventListener("click", () => {
    cancel.disabled = true;
    cancel.textContent = "Cancelling …";
    model.set("cancel_requested", true);
    model.save_changes();
  });

  const draw = () => {
    status.textContent = model.get("line") || model.get("status");
    const total = model.get("total_steps");
    bar.max = Math.max(total, 1);
    bar.value = model.get("ended") && model.get("status") === "succeeded" ? bar.max : model.get("step");
    cancel.hidden = model.get("ended");
    chart.replaceChildren(drawChart(model.get("points"), total));
    const messages = model.get("messages");
    summary.textContent = `Events (${messages.length})`;
    list.replaceChildren(...messages.map((message) => node("li", {}, message)));
  };
  const onChange = () => requestAnimationFrame(draw);
  model.on("change", onChange);
  draw();
  return () => model.off("change", onChange);
}

export default { render };
