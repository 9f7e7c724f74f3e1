// The view of a fine-tuning job. It draws what the model's traits say; of its own it has a clock,
// and the question whether the kernel is still there.
// Every four seconds the view asks for a sign; three that fail, and the kernel counts as gone.
const ASK_MS = 4000;
const SILENT_MS = 13000;

function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const rest = String(whole % 60).padStart(2, "0");
  return `${Math.floor(whole / 60)}:${rest}`;
}

function render({ model, el }) {
  const root = node("section", { class: "workbook mathjax_ignore tex2jax_ignore monitor", "aria-label": "Training monitor" });
  const status = node("p", { role: "status", "aria-live": "polite", class: "line" });
  const time = node("p", { class: "time" });
  const bar = node("progress", { max: 1, value: 0, "aria-label": "Steps done" });
  const chart = node("div", { class: "chart" });
  const help = node("details", {}, focusable("summary", {}, "What the loss says"),
    node("p", {}, "The loss is the mean surprise at the right next token, in nats: the natural "
      + "logarithm of one over its probability. 0.01 means that the right token got 99%, 0.69 that "
      + "it got 50%, 2.3 that it got 10%, 4.6 that it got 1%. The axis is logarithmic: each tenth "
      + "is as far as the one before."));
  const heard = node("div", { class: "heard", hidden: true });
  const list = focusable("ol", { tabindex: "0", "aria-label": "Events of the job" });
  const summary = focusable("summary", {}, "Events");
  const events = node("details", {}, summary, list);
  const note = node("p", { class: "note", role: "status", "aria-live": "polite", hidden: true });

  const sure = node("div", { class: "sure actions", hidden: true });
  const cancel = button("Cancel this job …", {}, () => ask(true));
  const yes = button("Yes, cancel it", {}, () => {
    ask(false);
    cancel.disabled = true;
    cancel.textContent = "Cancelling …";
    model.set("cancel_requested", true);
    model.save_changes();
  });
  const no = button("Go on training", { class: "main" }, () => ask(false));
  sure.append(node("span", {}, "Cancel the job? The cells below need its model."), yes, no);
  function ask(open) {
    sure.hidden = !open;
    cancel.hidden = open || model.get("ended");
    // The harmless button has the focus, so that Enter twice cancels nothing.
    (open ? no : cancel).focus();
  }
  const head = node("div", { class: "head" }, bar, cancel, sure);
  root.append(status, time, head, note, chart, help, heard, events);
  el.append(root);

  // `known` is when the times of the traits were true; `lastSign` when the kernel last said
  // anything.
  let lastSign = Date.now();
  let known = Date.now();
  const tick = () => {
    const since = (Date.now() - known) / 1000;
    const ended = model.get("ended");
    const parts = [`${clock(model.get("seconds") + (ended ? 0 : since))} ${ended ? "in all" : "so far"}`];
    const silent = !ended && Date.now() - lastSign > SILENT_MS;
    const left = model.get("left");
    if (left >= 0 && !ended && !silent) parts.push(`about ${clock(left - since)} left`);
    time.textContent = parts.join(" · ");
    note.hidden = !silent;
    // Nobody would hear the click: better no button than one that says "Cancelling" for ever.
    if (ended || silent) sure.hidden = true;
    cancel.hidden = ended || silent || !sure.hidden;
    if (silent) {
      note.textContent = "The notebook's kernel does not answer: it was restarted or is busy. The "
        + "job goes on in the server. Run this cell again; after a restart, those above it first.";
    }
  };
  const draw = () => {
    lastSign = Date.now();
    known = lastSign;
    const ended = model.get("ended");
    status.textContent = model.get("phase");
    const total = model.get("total_steps");
    bar.max = Math.max(total, 1);
    // Without a value it moves by itself: something happens that has no steps.
    if (ended || total) bar.value = model.get("status") === "succeeded" ? bar.max : model.get("step");
    else bar.removeAttribute("value");
    bar.hidden = ended && model.get("status") !== "succeeded";
    // SVG that `loss_chart` made of numbers alone.
    chart.innerHTML = model.get("chart") || (ended ? "" : "<p>The curve begins with the first step.</p>");
    help.hidden = !model.get("chart");
    const said = model.get("said");
    heard.hidden = !model.get("asked");
    const rows = said.map((one) => node("tr", {}, node("th", { scope: "row" }, one.when), node("td", {}, one.text)));
    const caption = node("caption", {}, "The model's answer to: ", node("q", {}, model.get("asked")));
    heard.replaceChildren(node("table", {}, caption, node("tbody", {}, ...rows)));
    const messages = model.get("messages");
    summary.textContent = `Events (${messages.length})`;
    list.replaceChildren(...messages.map((message) => node("li", {}, message)));
    tick();
  };
  // A poll sets many traits: one picture for all of them.
  const onChange = () => requestAnimationFrame(draw);
  const onHere = () => { lastSign = Date.now(); tick(); };
  const refresh = () => {
    // A page that nobody sees asks nothing; it does when it is seen again.
    if (model.get("ended") || document.hidden) return;
    try {
      model.send({ do: "refresh" });
    } catch {
      // The connection is gone: said at once, not after the silence.
      lastSign = 0;
    }
  };
  model.on("change", onChange);
  model.on("msg:custom", onHere);
  document.addEventListener("visibilitychange", refresh);
  const timers = [setInterval(tick, 1000), setInterval(refresh, ASK_MS)];
  draw();
  refresh();
  return () => {
    timers.forEach(clearInterval);
    document.removeEventListener("visibilitychange", refresh);
    model.off("change", onChange);
    model.off("msg:custom", onHere);
  };
}

export default { render };
