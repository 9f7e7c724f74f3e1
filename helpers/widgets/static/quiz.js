// The view of a quiz. It draws the model's `screen` and sends what the reader does; which
// answer is right is known to the kernel alone.
const MARKS = { open: ["", "not answered"], right: ["✓", "right"], wrong: ["✗", "not yet right"] };
let drawn = 0;

function choiceBody(screen, draft) {
  const type = screen.kind === "one" ? "radio" : "checkbox";
  const name = `quiz-${drawn}-${screen.id}`;
  const given = Array.isArray(screen.given) ? screen.given : [];
  const boxes = screen.options.map((text, place) => {
    const input = focusable("input", { type, name, value: String(place), disabled: draft.locked });
    input.checked = given.includes(place);
    return [input, node("label", { class: "option" }, input, node("span", {}, ...rich(text)))];
  });
  draft.read = () => boxes.flatMap(([input], place) => (input.checked ? [place] : []));
  return boxes.map(([, label]) => label);
}

function orderBody(screen, draft, say) {
  const list = node("ol", { class: "steps" });
  let order = Array.isArray(screen.given) && screen.given.length
    ? [...screen.given] : screen.options.map((_, place) => place);
  const move = (from, to, direction) => {
    [order[from], order[to]] = [order[to], order[from]];
    fill();
    const row = list.children[to];
    const wanted = row.querySelector(`.${direction}`);
    // At an end of the list the button that was pressed can no longer be: the other one gets the
    // focus.
    (wanted.disabled ? row.querySelector("button:not(:disabled)") : wanted).focus();
    say(`Now at place ${to + 1} of ${order.length}.`);
  };
  const fill = () => list.replaceChildren(...order.map((option, place) => {
    const text = screen.options[option];
    const up = button("↑", { class: "up", "aria-label": `Move up: ${text}` },
      () => move(place, place - 1, "up"));
    const down = button("↓", { class: "down", "aria-label": `Move down: ${text}` },
      () => move(place, place + 1, "down"));
    up.disabled = draft.locked || place === 0;
    down.disabled = draft.locked || place === order.length - 1;
    const number = node("span", { class: "number" }, `${place + 1}.`);
    return node("li", {}, number, node("span", { class: "text" }, ...rich(text)), up, down);
  }));
  fill();
  draft.read = () => order;
  return [list];
}

function typedBody(screen, draft) {
  const number = screen.kind === "number";
  const input = focusable("input", {
    type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    inputmode: number ? "decimal" : "text", disabled: draft.locked,
  });
  input.value = typeof screen.given === "string" ? screen.given : "";
  // JupyterLab keeps Enter in a text field from submitting its form.
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    input.form.requestSubmit();
  });
  draft.read = () => input.value;
  const words = number ? "Your number" : "What belongs in the gap";
  return [node("label", { class: "typed" }, words, input)];
}

function questionBody(screen, draft, say) {
  draft.locked = screen.outcome !== "open";
  const fieldset = focusable("fieldset", { tabindex: "-1" });
  fieldset.append(node("legend", {}, ...rich(screen.stem)));
  if (screen.code) fieldset.append(node("pre", {}, screen.code));
  const body = { order: orderBody, number: typedBody, gap: typedBody }[screen.kind] ?? choiceBody;
  fieldset.append(...body(screen, draft, say));
  return fieldset;
}

function resultBody(screen, folder) {
  const box = focusable("div", { tabindex: "-1" });
  const rows = screen.topics.map((row) => {
    const again = row.reread.map((source) => node("li", {}, sourceNode(source, folder)));
    const rest = row.answered < row.total ? `, ${row.total - row.answered} not answered` : "";
    return node("tr", {},
      node("th", { scope: "row" }, row.topic),
      node("td", { class: "score" }, `${row.right} of ${row.total}${rest}`),
      node("td", {}, again.length ? node("ul", {}, ...again) : "–"));
  });
  const heads = ["Topic", "Right", "Read again"];
  box.append(
    node("h3", {}, `${screen.right} of ${screen.total} right`),
    node("table", {},
      node("thead", {}, node("tr", {}, ...heads.map((h) => node("th", { scope: "col" }, h)))),
      node("tbody", {}, ...rows)));
  return box;
}

function feedback(screen, folder) {
  if (screen.notice) return [node("p", {}, screen.notice)];
  const said = { right: "✓ Right. ", wrong: "✗ Not yet. " }[screen.outcome];
  if (!said) return [];
  const lines = [node("p", {}, node("strong", {}, said), ...rich(screen.feedback))];
  if (screen.outcome === "wrong") {
    lines.push(node("p", {}, "Read again: ", sourceNode(screen.source, folder)));
  }
  return lines;
}

function questionActions(screen, send) {
  const last = screen.place === screen.count;
  const next = button(last ? "See the result" : "Next", {}, () => send({ do: "next" }));
  const back = button("Back", {}, () => send({ do: "go", place: screen.place - 2 }));
  back.disabled = screen.place === 1;
  if (screen.outcome === "right") {
    next.classList.add("main");
    return [next, back];
  }
  if (screen.outcome === "wrong") {
    const again = button("Try again", { class: "main" }, () => send({ do: "again" }));
    return [again, next, back];
  }
  // Not answered yet.
  next.textContent = last ? "See the result" : "Skip";
  return [focusable("button", { type: "submit", class: "main" }, "Check"), next, back];
}

function resultActions(screen, send) {
  const made = [button("Back to the questions", {}, () => send({ do: "all" }))];
  if (screen.missed) {
    const words = screen.missed === 1 ? "Review the missed one" : `Review the ${screen.missed} missed ones`;
    made.unshift(button(words, { class: "main" }, () => send({ do: "missed" })));
  }
  if (screen.answered) {
    const ask = button("Start over …", {}, () => {
      ask.replaceWith(sure);
      sure.focus();
    });
    const sure = button("Forget these answers", {}, () => send({ do: "restart" }));
    made.push(ask);
  }
  return made;
}

function overview(screen, send) {
  return screen.marks.map((mark, place) => {
    const [sign, words] = MARKS[mark];
    const made = button(`${place + 1}${sign ? ` ${sign}` : ""}`,
      { "aria-label": `Question ${place + 1}, ${words}` },
      () => send({ do: "go", place }));
    if (place + 1 === screen.place) made.setAttribute("aria-current", "step");
    return node("li", {}, made);
  });
}

function render({ model, el }) {
  drawn += 1;
  const where = node("p", { class: "where" });
  const bar = node("progress", { "aria-label": "Questions answered", value: "0" });
  const body = node("div", { class: "body" });
  const status = node("div", { class: "status", role: "status", "aria-live": "polite" });
  const actions = node("div", { class: "actions" });
  const all = node("ol", { class: "all" });
  const details = node("details", {}, focusable("summary", {}, "All questions"), all);
  const form = node("form", {}, node("div", { class: "head" }, where, bar), body, status, actions);
  el.append(node("section", { class: "workbook mathjax_ignore tex2jax_ignore quiz", "aria-label": model.get("title") }, form, details));

  const folder = folderOf(model);
  const draft = { read: () => [], locked: false };
  let known = "";
  let mine = false;
  let timer;

  const say = (text) => status.replaceChildren(text ? node("p", {}, text) : "");
  const send = (message) => {
    mine = true;
    clearTimeout(timer);
    timer = setTimeout(() => {
      status.className = "status";
      say(IN_LAB ? SILENT : `No answer yet. ${RERUN}.`);
    }, SILENCE_MS);
    try {
      model.send(message);
    } catch {
      say(`${RERUN} to answer the question.`);
    }
  };

  // A keyboard goes on where the reader is: at the verdict's button, at the same question's answer,
  // or at the top of a new screen.
  const focusAfter = (screen, before) => {
    const same = before.name === screen.name && before.id === screen.id;
    const button = actions.querySelector("button.main") ?? actions.querySelector("button");
    const input = body.querySelector("input:checked, input, ol button:not(:disabled)");
    if (same && screen.outcome !== "open") button.focus();
    else if (same && input) input.focus();
    else body.firstElementChild.focus();
  };

  const draw = () => {
    const { turn, notice, warning, ...screen } = model.get("screen");
    clearTimeout(timer);
    const question = screen.name === "question";
    const now = JSON.stringify(screen);
    // What is half typed stays when only the notice or the warning is new.
    if (now !== known) {
      const before = known ? JSON.parse(known) : {};
      known = now;
      where.textContent = question
        ? `${screen.only_missed ? "Missed question" : "Question"} ${screen.place} of ${screen.count}`
          + ` · ${screen.topic} · ${screen.level}`
        : "Result";
      bar.max = screen.count;
      bar.hidden = !question;
      details.hidden = !question;
      if (question) bar.value = screen.marks.filter((mark) => mark !== "open").length;
      body.replaceChildren(question ? questionBody(screen, draft, say) : resultBody(screen, folder));
      actions.replaceChildren(...(question ? questionActions : resultActions)(screen, send));
      all.replaceChildren(...(question ? overview(screen, send) : []));
      // Not when another cell changed the screen: the focus would jump there.
      if (mine) focusAfter(screen, before);
    }
    mine = false;
    status.className = `status ${notice || !question ? "" : screen.outcome}`;
    status.replaceChildren(...feedback({ ...screen, notice }, folder));
    if (warning) status.append(node("p", {}, warning));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!draft.locked && model.get("screen").name === "question") {
      send({ do: "check", given: draft.read() });
    }
  });
  model.on("change:screen", draw);
  draw();
  return () => {
    clearTimeout(timer);
    model.off("change:screen", draw);
  };
}

export default { render };
