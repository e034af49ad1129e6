// Elements of the page, and how a value is written. Texts are never read as HTML.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, given] of Object.entries(attributes)) {
    if (typeof given === "function") made.addEventListener(name, given);
    else if (given !== null && given !== false) made.setAttribute(name, given === true ? "" : given);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const at = (id) => document.getElementById(id);

function linkButton(text, look, click) {
  return element("button", {type: "button", class: `link ${look}`, click}, text);
}

// A bar of that share, from 0 to 1, of its full width.
function track(share) {
  const filled = element("i");
  filled.style.width = `${100 * share}%`;
  return element("span", {class: "track"}, filled);
}

// A value for people: of a cost three significant digits (12.3 k, 1.5 GiB, 8.7 ms), of Dice four.
function shown(name, number) {
  if (number === null || number === undefined) return "—";
  if (typeof number === "string") return number;  // why there is none
  const {unit, prefixes, maximised} = data.formats[name];
  if (maximised) return number.toFixed(4);
  const [size, prefix] = prefixes.find(([size]) => number >= 0.9995 * size) ?? [1, ""];
  return `${Number((number / size).toPrecision(3))} ${prefix}${unit}`.trim();
}

const titleOf = (name) => data.formats[name].title;

// "≤ 43.9 M", "≥ 0.8000".
function limitText(name, limit) {
  return `${data.formats[name].maximised ? "≥" : "≤"} ${shown(name, limit)}`;
}

function percent(share) {
  if (share === null) return "—";
  const rounded = Math.round(100 * share);
  const near = share > 0 && rounded === 0 ? "<1" : share < 1 && rounded === 100 ? ">99" : rounded;
  return `${near} %`;
}

function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

// Storage that may be denied, as it is in a frame of MLflow's.
const kept = {
  read: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  write: (name, text) => { try { localStorage.setItem(name, text); } catch { /* denied */ } },
};
