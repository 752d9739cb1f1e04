// What is remembered on this device, or in this tab alone, or nothing where the browser lets nothing be kept.

export const DEVICE = "localStorage";
export const TAB = "sessionStorage";

export function recall(key, where = DEVICE) {
  try {
    return JSON.parse(window[where].getItem(key)) ?? {};
  } catch {
    return {};
  }
}

export function remember(key, value, where = DEVICE) {
  try {
    window[where].setItem(key, JSON.stringify(value));
  } catch {
    // It holds for this page then.
  }
}
