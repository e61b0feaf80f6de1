// Comforts of the /docs page; it can be read without them.

const address = new URL(".", location.href).href.replace(/\/$/, "");
for (const place of document.querySelectorAll("[data-address]")) place.textContent = address;

for (const figure of document.querySelectorAll("figure.code")) {
  if (!navigator.clipboard) break; // plain http on another host than this machine
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${figure.querySelector("figcaption").textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(figure.querySelector("pre").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  figure.querySelector("figcaption").append(button);
}

// The list of addresses: beside the text where there is room, folded above it where there is none.
const menu = document.querySelector("nav details");
const narrow = matchMedia("(max-width: 960px)");
const fold = () => { menu.open = !narrow.matches; };
fold();
narrow.addEventListener("change", fold);
menu.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) menu.open = false;
});

// Mark in the list what is being read.
const links = new Map([...menu.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
const parts = [...document.querySelectorAll("section.part")];
let marked = null;
function mark() {
  const edge = innerHeight / 3;
  const current = parts.findLast((part) => part.getBoundingClientRect().top <= edge) ?? parts[0];
  const link = links.get(current.id);
  if (link === marked || !link) return;
  marked?.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  marked = link;
  const list = menu.parentElement;
  const [box, frame] = [link.getBoundingClientRect(), list.getBoundingClientRect()];
  if (!narrow.matches && (box.top < frame.top || box.bottom > frame.bottom)) list.scrollTop += box.top - frame.top - 80;
}
let waiting = false;
addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; mark(); });
}, { passive: true });
mark();

// An address that leads into folded text unfolds it.
function unfold() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = place?.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
}
addEventListener("hashchange", unfold);
unfold();
