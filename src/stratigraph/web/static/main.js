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
let study = null, stamps = null, shown = null, turn = 0, address = "";

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
  shown = { again: show };
  address = location.pathname + location.search;
  delete view.dataset.drawn;
  view.replaceChildren(box);
  try {
    await draw(box, study, shown);
  } catch (error) {
    box.append(told(error));
  }
  if (own === turn) view.dataset.drawn = location.pathname + location.search;
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

// What is new is shown where it stands: a view that can keeps what its user is at.
async function look() {
  const found = await ask("states");
  saidNow(found.runs);
  const before = stamps;
  stamps = found;
  if (study === null || found.results !== before?.results) {
    await reread();
    if (before === null || !shown) await show();
    else if (shown.update) await shown.update(study);
    else await show();
  } else if (found.logged !== before.logged) await shown?.logged?.();
  shown?.states?.(found.runs);
}
async function keepLooking() {
  if (!document.hidden) {
    try {
      await look();
    } catch (error) {
      now.textContent = error instanceof TypeError ? "the server does not answer; trying again" : error.message;
      if (study === null) view.replaceChildren(told(error));
    }
  }
  setTimeout(keepLooking, EVERY);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/']");
  if (!link || link.hasAttribute("download") || event.ctrlKey || event.metaKey || event.shiftKey || !(new URL(link.href).pathname in VIEWS)) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  show().then(() => view.focus({ preventScroll: true }));
  scrollTo(0, 0);
});
addEventListener("popstate", () => {
  if (location.pathname + location.search !== address) show(); // and not for the skip link
});

navigation();
await keepLooking();
