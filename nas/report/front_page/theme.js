// Light or dark: as the system is, until the reader says otherwise. Canvases ask here for colours.
const COLOURS = ["ink", "soft", "line", "grid", "paper", "front", "chosen", "other", "named",
  "spent"];
const palette = {};
// From the worst to the best, and unordered options; each at 3:1 or more on its paper.
const RAMPS = {
  light: ["#cc7a00", "#c8427c", "#7e03a8", "#1d0a8f"],
  dark: ["#9a5bd6", "#e0568f", "#f9a03f", "#f0f05a"],
};
const SETS = {
  light: ["#0072b2", "#d55e00", "#00855f", "#b34d8a", "#8a6d00", "#5b4bc4", "#6b4f3a", "#4f6b00"],
  dark: ["#56b4e9", "#ff9249", "#4cc9a0", "#f0a3cf", "#f0d04c", "#a99cff", "#d3b199", "#b8d65c"],
};
const THEMES = ["auto", "light", "dark"];

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function readPalette() {
  const probe = element("i");
  document.body.append(probe);
  for (const name of COLOURS) {
    probe.style.color = `var(--${name})`;
    palette[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  palette.font = getComputedStyle(document.body).fontFamily;
  palette.set = SETS[isDark() ? "dark" : "light"];
  palette.ramp = RAMPS[isDark() ? "dark" : "light"].map((hex) =>
    [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16)));
}

// The colour of a share, from 0 for the worst to 1 for the best.
function ramp(share) {
  const place = Math.min(0.9999, Math.max(0, share)) * (palette.ramp.length - 1);
  const [low, high] = [palette.ramp[Math.floor(place)], palette.ramp[Math.floor(place) + 1]];
  const mixed = low.map((from, i) => Math.round(from + (high[i] - from) * (place % 1)));
  return `rgb(${mixed.join(",")})`;
}

// `changed`: called when other colours are to be drawn.
function themeButton(changed) {
  let theme = THEMES.includes(kept.read("segnas-theme")) ? kept.read("segnas-theme") : "auto";
  const button = element("button", {type: "button", class: "tool", click: () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    kept.write("segnas-theme", theme);
    show();
    changed();
  }});
  function show() {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Colours: ${theme}`;
    readPalette();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readPalette();
    changed();
  });
  show();
  return button;
}
