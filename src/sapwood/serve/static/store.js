// What this browser keeps: settings and conversations in localStorage, the API key for as long as the tab lives.

const PREFIX = "sapwood.c.";
const CAP = 4_000_000; // characters of conversations; browsers stop at about five million for one site

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null; // closed, or not ours
  }
}

export function loadSettings() {
  const found = { params: {}, system: "", theme: "auto", format: "markdown", ...read("sapwood.settings") };
  if (typeof found.params !== "object" || !found.params) found.params = {};
  found.system = String(found.system);
  return found;
}

export function saveSettings(settings) {
  try {
    localStorage.setItem("sapwood.settings", JSON.stringify(settings));
  } catch {
    // Settings then last as long as the page.
  }
}

/** Something of this tab only: it survives a reload, not the tab. */
export const tab = {
  get: (name) => {
    try {
      return sessionStorage.getItem(`sapwood.${name}`) || "";
    } catch {
      return "";
    }
  },
  set: (name, value) => {
    try {
      if (value) sessionStorage.setItem(`sapwood.${name}`, value);
      else sessionStorage.removeItem(`sapwood.${name}`);
    } catch {
      // The value then lasts as long as the page.
    }
  },
};

export function newConversation(system) {
  // randomUUID exists on secure origins only, and a server on the local network is none.
  const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  return { id, title: "", system, updated: Date.now(), messages: [] };
}

// A stored conversation if it has the form of one, else null.
function conversation(key) {
  const value = read(key);
  const good = value && key === PREFIX + value.id && Array.isArray(value.messages) &&
    ["title", "system"].every((name) => typeof value[name] === "string") && typeof value.updated === "number" &&
    value.messages.every((message) => typeof message?.role === "string" && typeof message.content === "string");
  return good ? value : null;
}

/** Every stored conversation, latest first. */
export function listConversations() {
  const found = [];
  try {
    for (const key of Object.keys(localStorage)) {
      const value = key.startsWith(PREFIX) ? conversation(key) : null;
      if (value) found.push(value);
    }
  } catch {
    // No storage: nothing is kept.
  }
  return found.sort((a, b) => b.updated - a.updated);
}

/** One stored conversation, or null. */
export function loadConversation(id) {
  return conversation(PREFIX + id);
}

export function removeConversation(id) {
  try {
    localStorage.removeItem(PREFIX + id);
  } catch {
    // Nothing was kept.
  }
}

/** Stores a conversation; the oldest others make room. Returns {kept, removed: how many made room}. */
export function saveConversation(value) {
  const text = JSON.stringify(value);
  const key = PREFIX + value.id;
  let removed = 0;
  try {
    const others = Object.keys(localStorage).filter((each) => each.startsWith(PREFIX) && each !== key);
    let used = text.length + others.reduce((sum, each) => sum + localStorage.getItem(each).length, 0);
    const full = () => {
      try {
        if (used <= CAP) localStorage.setItem(key, text);
        return used > CAP;
      } catch {
        return true; // something else of this site fills the storage
      }
    };
    if (used <= CAP && !full()) return { kept: true, removed };
    const oldest = others.map((each) => [read(each)?.updated ?? 0, each]).sort((a, b) => a[0] - b[0]);
    for (const [, each] of oldest) {
      used -= localStorage.getItem(each).length;
      localStorage.removeItem(each);
      removed++;
      if (!full()) return { kept: true, removed };
    }
  } catch {
    // No storage at all.
  }
  return { kept: false, removed };
}

/** A conversation as a document for people. */
export function toMarkdown({ title, system, messages }) {
  const parts = [`# ${title || "Conversation"}`];
  if (system) parts.push(`*System prompt*\n\n${system}`);
  for (const message of messages) {
    parts.push(`**${message.role === "user" ? "You" : message.model || "Assistant"}**\n\n${message.content}`);
  }
  return `${parts.join("\n\n")}\n`;
}
