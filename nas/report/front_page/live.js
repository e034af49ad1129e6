// A page of a search that runs reads its own file again, and takes over what is new. A frame does
// the reading, for a page from a folder may not: it is this page, asked for its data alone.
const ASKED = "#data";
const EVERY = 10;  // seconds between two readings

// In that frame: hand the data over, to nobody but a page from the same place.
function answersAsData() {
  if (window.parent === window || location.hash !== ASKED) return false;
  const from = location.protocol === "file:" ? "*" : location.origin;
  window.parent.postMessage({segnas: at("data").textContent}, from);
  return true;
}

// `news`: called with data that are newer.
function follow(news) {
  const where = at("live");
  const readable = /^(file|https?):/.test(location.protocol);  // a frame of MLflow's has no file
  let paused = false, frame = null, last = Date.now();
  const button = element("button", {type: "button", class: "tool", click: () => {
    paused = !paused;
    tell();
    if (!paused) read();
  }});
  const words = element("span");

  function tell() {
    where.hidden = !data.progress;
    if (!data.progress) return;
    const {written, fraction} = data.progress;
    const age = clock(Date.now() / 1000 - written);
    words.textContent = `Running · ${percent(fraction)} of the budget · written ${age} ago`;
    words.classList.toggle("stale", Date.now() / 1000 - written > 3600);
    button.hidden = !readable;
    button.textContent = paused ? "Follow" : "Pause";
  }

  function read() {
    if (paused || document.hidden || !data.progress || !readable) return;
    last = Date.now();
    frame?.remove();
    frame = element("iframe", {hidden: true, sandbox: "allow-scripts", title: "data",
      src: `${location.pathname}?${last}${ASKED}`});
    document.body.append(frame);
  }

  window.addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || typeof event.data?.segnas !== "string") return;
    frame.remove();
    frame = null;
    const given = JSON.parse(event.data.segnas);
    if (JSON.stringify(given.progress) !== JSON.stringify(data.progress)) news(given);
    tell();
  });
  setInterval(() => {
    tell();
    if (Date.now() - last >= EVERY * 1000) read();
  }, 1000);
  where.replaceChildren(words, button);
  tell();
}

// The candidates under way, each with how far it is.
function drawRunning(where) {
  const running = data.progress?.running ?? [];
  where.hidden = !running.length;
  where.replaceChildren(element("h2", {class: "small"}, "Under way"),
    element("ul", {}, ...running.map(({name, epoch, epochs, dice}) => element("li", {},
      element("span", {class: "key"}, name), track(epochs ? epoch / epochs : 0),
      ` epoch ${epoch} of ${epochs}${dice === null ? "" : `, Dice ${shown("dice", dice)}`}`))));
}
