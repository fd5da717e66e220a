// The page: which view the address asks for, and what is new while a study trains.

import { convergence } from "./convergence.js";
import { heat } from "./heat.js";
import { ask, el, told } from "./kit.js";
import { latents } from "./latents.js";
import { models } from "./models.js";
import { overview } from "./overview.js";
import { runs } from "./runs.js";

const VIEWS = {
  "/": ["Overview", overview], "/heat": ["Heat map", heat], "/convergence": ["Convergence", convergence],
  "/models": ["Map of models", models], "/latents": ["Latents", latents], "/runs": ["Two runs", runs],
};
const EVERY = 2000; // milliseconds between two looks at a study
const view = document.getElementById("view"), now = document.getElementById("now");
let study = null, stamps = { states: "", results: "" }, shown = null, turn = 0;

function navigation() {
  document.getElementById("nav").replaceChildren(...Object.entries(VIEWS).map(([path, [name]]) => el("a", {
    href: path, textContent: name, ...(path === location.pathname ? { "aria-current": "page" } : {}),
  })));
}

// Draw the view that the address asks for.
async function show() {
  const own = ++turn;
  const [name, draw] = VIEWS[location.pathname] ?? VIEWS["/"];
  document.title = `${name} · ${study.name} · stratigraph`;
  navigation();
  const box = el("div");
  shown = {};
  delete view.dataset.drawn;
  view.replaceChildren(box);
  try {
    await draw(box, study, shown);
  } catch (error) {
    box.append(told(error));
  }
  if (own !== turn) return;
  view.dataset.drawn = location.pathname + location.search;
}

async function reread() {
  study = await ask("overview");
  document.getElementById("study").textContent = study.name;
}

function saidNow(runs) {
  const counts = new Map();
  for (const [state] of Object.values(runs)) counts.set(state, (counts.get(state) ?? 0) + 1);
  now.textContent = [...counts].map(([state, many]) => `${many} ${state === "running" ? "training" : state}`).join(", ");
}

async function look() {
  try {
    const found = await ask("states");
    saidNow(found.runs);
    shown?.states?.(found.runs);
    if (found.results !== stamps.results && stamps.results) {
      await reread();
      if (shown?.update) await shown.update(study); // the view keeps what its user is at
      else await show();
    }
    stamps = found;
  } catch {
    now.textContent = "the server does not answer; trying again";
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/']");
  if (!link || link.hasAttribute("download") || event.ctrlKey || event.metaKey || event.shiftKey || !(new URL(link.href).pathname in VIEWS)) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  show().then(() => view.focus({ preventScroll: true }));
  scrollTo(0, 0);
});
addEventListener("popstate", show);

try {
  await reread();
  await show();
} catch (error) {
  view.replaceChildren(told(error));
}
await look();
setInterval(() => { if (!document.hidden) look(); }, EVERY);
