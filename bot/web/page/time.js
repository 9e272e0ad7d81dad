// Times in the zone of the person one is. A zone that the browser does not know is UTC.

const formats = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    let f;
    try {
      f = new Intl.DateTimeFormat("en-GB", { timeZone: zone || "UTC", ...options });
    } catch {
      f = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
    }
    formats.set(key, f);
  }
  return formats.get(key);
}

const clockStyle = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const dateStyle = { day: "numeric", month: "short" };

export function show(iso, style, zone) {
  const at = new Date(iso);
  switch (style) {
    case "date": return format(zone, dateStyle).format(at);
    case "datetime": return `${format(zone, dateStyle).format(at)}, ${format(zone, clockStyle).format(at)}`;
    case "seconds": return format(zone, { ...clockStyle, second: "2-digit" }).format(at);
    case "day": return format(zone, { weekday: "long", day: "numeric", month: "long" }).format(at);
    case "full": return format(zone, { dateStyle: "full", timeStyle: "long" }).format(at);
    default: return format(zone, clockStyle).format(at);
  }
}

/** place is a zone's name for people: "Europe/Lisbon" is Lisbon. */
export function place(zone) {
  return (zone || "UTC").split("/").pop().replaceAll("_", " ");
}

/** left writes milliseconds as a countdown: 9:58, 1:02:03, 2 d 3 h. */
export function left(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)}:${two(Math.floor(s % 3600 / 60))}:${two(s % 60)}`;
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
}
