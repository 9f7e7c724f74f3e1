// What every view of the course needs: elements, links to sections, a kernel that is silent.
const SILENCE_MS = 2500;
const QUIET = "data-lm-suppress-shortcuts";

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

// Where notebooks open by their address, a link; elsewhere, for instance in Voilà, its words.
function sourceNode({ notebook, heading, link }) {
  const words = [notebook, heading.replaceAll("`", "")].filter(Boolean).join(" · ");
  const inside = decodeURIComponent(location.pathname).match(
    /\/(?:lab|doc|notebooks)(?:\/workspaces\/[^/]+)?(?:\/tree)?\/(.*\/)?[^/]+\.ipynb$/,
  );
  if (!link || !inside) return node("span", {}, words);
  const [file, fragment] = link.split("#");
  const made = focusable("a", { href: link }, words);
  made.dataset.commandlinkerCommand = "rendermime:handle-local-link";
  made.dataset.commandlinkerArgs = JSON.stringify({
    path: `${inside[1] ?? ""}${file}`,
    ...(fragment ? { id: `#${fragment}` } : {}),
  });
  return made;
}
