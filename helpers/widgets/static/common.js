// What every view of the course needs: elements, links to sections, a kernel that is silent.
// A kernel that computes cannot answer: so long a click may go without a word.
const SILENCE_MS = 2500;
// JupyterLab passes no shortcut on from inside an element with this attribute.
const QUIET = "data-lm-suppress-shortcuts";
// "/lab/tree/…", "/doc/tree/…" and "/notebooks/…": JupyterLab, its single document, Notebook 7.
const IN_LAB = /\/(?:lab|doc|notebooks)(?:\/|$)/.test(decodeURIComponent(location.pathname));
// A page of Voilà has no cells.
const RERUN = IN_LAB ? "Run this cell" : "Load this page again";
const SILENT = `No answer from the kernel yet. ${RERUN}, or wait until other cells have run.`;

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// Whatever can have the focus keeps its keys from the notebook: there, "b" adds a cell.
const focusable = (tag, attributes, ...children) =>
  node(tag, { ...attributes, [QUIET]: "true" }, ...children);

const button = (text, attributes, onClick) => {
  const made = focusable("button", { type: "button", ...attributes }, text);
  if (onClick) made.addEventListener("click", onClick);
  return made;
};

// `code` in backticks.
function rich(text) {
  return text.split("`").map((part, i) => (i % 2 ? node("code", {}, part) : part));
}

// The folder of the notebook with a slash at its end, relative to JupyterLab's root: as the
// kernel says, else as the address has it. None outside JupyterLab, for instance in Voilà.
function folderOf(model) {
  const address = decodeURIComponent(location.pathname);
  if (!IN_LAB) return undefined;
  const said = model.get("folder");
  if (said) return said === "." ? "" : `${said}/`;
  const inside = address.match(
    /\/(?:lab|doc|notebooks)(?:\/workspaces\/[^/]+)?(?:\/tree)?\/(.*\/)?[^/]+\.ipynb$/,
  );
  return inside ? (inside[1] ?? "") : undefined;
}

// A notebook that was not open yet is scrolled before it has its cells, so the section is missed:
// ask again until it is in sight, for ten seconds, or until the reader goes elsewhere.
const LANDING_MS = 10000;
const GOING = ["pointerdown", "wheel", "keydown"];

function land(link, heading) {
  const end = Date.now() + LANDING_MS;
  const inSight = () => [...document.querySelectorAll(
    ".jp-NotebookPanel:not(.lm-mod-hidden) :is(h1, h2, h3, h4)",
  )].some((one) => {
    const { top, height } = one.getBoundingClientRect();
    return one.textContent.replace("¶", "").trim() === heading && height > 0
      && top > 0 && top < window.innerHeight - 60;
  });
  const stop = () => {
    clearInterval(timer);
    for (const kind of GOING) window.removeEventListener(kind, stop, true);
  };
  const timer = setInterval(() => {
    if (inSight() || Date.now() > end) {
      stop();
    } else if (document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")) {
      link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
    }
  }, 800);
  for (const kind of GOING) window.addEventListener(kind, stop, true);
}

// Where notebooks open by their address, a link; elsewhere, its words.
function sourceNode({ notebook, heading, link }, folder) {
  const words = [notebook, heading.replaceAll("`", "")].filter(Boolean).join(" · ");
  if (!link || folder === undefined) return node("span", {}, words);
  const [file, fragment] = link.split("#");
  const made = focusable("a", { href: link }, words);
  // JupyterLab opens the file in itself, where the plain link would leave the page.
  made.dataset.commandlinkerCommand = "rendermime:handle-local-link";
  made.dataset.commandlinkerArgs = JSON.stringify({
    path: `${folder}${file}`,
    ...(fragment ? { id: `#${fragment}` } : {}),
  });
  if (fragment) {
    made.addEventListener("click", (event) => {
      // Not for the clicks that `land` makes itself.
      if (event.isTrusted) land(made, heading.replaceAll("`", ""));
    });
  }
  return made;
}
