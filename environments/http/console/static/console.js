// Keeps open pages up to date: rows that a server-sent stream brings, older rows on demand, faults of changes.
"use strict";

const HELD = ":hover, :focus-within";

function follow(target) {
  const state = document.querySelector("[data-stream-state]");
  const say = (words) => { if (state) state.textContent = words; };
  const source = new EventSource(target.dataset.stream);
  let waiting = null;
  let usual = "Live";
  const show = () => {
    if (waiting === null || target.matches(HELD)) return;
    target.innerHTML = waiting;
    waiting = null;
    say(usual);
  };
  source.addEventListener("time", (event) => {
    usual = `Replay at ${new Date(1000 * event.data).toISOString().slice(0, 19).replace("T", " ")} UTC`;
    say(usual);
  });
  source.addEventListener("end", () => { source.close(); say("Replay over"); });
  source.addEventListener("letters", (event) => {
    waiting = event.data;
    if (target.matches(HELD)) say("Held, new letters wait");
    show();
  });
  source.onerror = () => say("No connection, trying again");
  source.onopen = () => say(usual);
  target.addEventListener("mouseleave", show);
  target.addEventListener("focusout", () => setTimeout(show));
}

async function older(button) {
  const rows = document.getElementById("letters");
  const last = [...rows.querySelectorAll("[data-number]")].pop();
  if (!last) return;
  const joined = button.dataset.older.includes("?") ? "&" : "?";
  const answer = await fetch(`${button.dataset.older}${joined}before=${last.dataset.number}`);
  if (answer.ok) rows.insertAdjacentHTML("beforeend", await answer.text());
}

document.querySelectorAll("[data-stream]").forEach(follow);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-older]");
  if (button) older(button);
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.xhr.getResponseHeader("x-form-faults")) return;
  event.detail.shouldSwap = true; // a form that comes back with what is wrong beside its fields
  event.detail.isError = false;
});
document.addEventListener("htmx:responseError", (event) => {
  const faults = document.getElementById("faults");
  if (faults && event.detail.xhr.status !== 401) faults.innerHTML = event.detail.xhr.responseText;
});
