/** The elements of page.html by their ids. Text from data is only ever set as text. */

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A new element with a class and a text. */
export function made<K extends keyof HTMLElementTagNameMap>(tag: K, kind = "", text = ""): HTMLElementTagNameMap[K] {
  const created = document.createElement(tag);
  if (kind) created.className = kind;
  if (text) created.textContent = text;
  return created;
}

const LONGEST = 3; // messages shown at once

/** Say what went wrong, until it is closed; the same sentence is there once. */
export function notify(sentence: string): void {
  const notices = element("notices");
  for (const each of [...notices.children]) if (each.firstChild?.textContent === sentence) each.remove();
  while (notices.children.length >= LONGEST) notices.firstChild!.remove();
  const item = made("li");
  const close = made("button", "", "Close");
  close.type = "button";
  close.addEventListener("click", () => item.remove());
  item.append(made("span", "", sentence), close);
  notices.append(item);
}

/** What the page is doing, in the line at its bottom. */
export function say(text: string): void {
  const status = element("status");
  if (status.textContent !== text) status.textContent = text;
}

/** Follow a slider, and show its value behind it. */
export function onSlide(id: string, text: (value: number) => string, changed: (value: number) => void): void {
  const slider = element<HTMLInputElement>(id);
  slider.addEventListener("input", () => {
    slider.parentElement!.querySelector("output")!.textContent = text(slider.valueAsNumber);
    changed(slider.valueAsNumber);
  });
}
