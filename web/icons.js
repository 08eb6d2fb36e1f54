// The page's drawings: lines on a field of 24 by 24, in the colour of the text around them.
import { svg } from "./dom.js";

const paths = {
  inbox: ["M3 13l3-8h12l3 8v6H3z", "M3 13h5l1.5 3h5L16 13h5"],
  events: ["M4 6h2M4 12h2M4 18h2M9 6h11M9 12h11M9 18h7"],
  rule: ["M4 5h16l-6 8v6l-4-2v-4z"],
  transport: ["M21 3L3 10l7 3 3 8z", "M10 13l5-5"],
  mapping: ["M8 5l-5 7 5 7M16 5l5 7-5 7"],
  delivery: ["M2 6h12v10H2z", "M14 9h4l4 4v3h-8", "M6 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM17 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4z"],
  user: ["M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z", "M4 21c0-4 4-6 8-6s8 2 8 6"],
  group: ["M9 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z", "M2 20c0-3.5 3-5.5 7-5.5s7 2 7 5.5", "M16 5a3.5 3.5 0 0 1 0 7M18 15c2.5.6 4 2.5 4 5"],
  token: ["M8 16a5 5 0 1 1 4.6-7H22v4h-3v3h-4v-3h-2.4A5 5 0 0 1 8 16z", "M8 10.5v1"],
  session: ["M3 4h18v12H3z", "M8 20h8M12 16v4"],
  system: ["M4 4h16v7H4zM4 13h16v7H4z", "M7.5 7.5h1M7.5 16.5h1"],
  settings: ["M4 7h10M18 7h2M4 17h2M10 17h10", "M16 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4z"],
  more: ["M4 7h16M4 12h16M4 17h16"],
  alert: ["M8 3h8l5 5v8l-5 5H8l-5-5V8z", "M12 8v5M12 16v.5"],
  warning: ["M12 4l9 16H3z", "M12 10v4M12 17v.5"],
  notice: ["M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z", "M12 11v5M12 8v.5"],
  check: ["M4 13l5 5L20 6"],
  close: ["M6 6l12 12M18 6L6 18"],
  back: ["M9 6l-6 6 6 6M3 12h18"],
  next: ["M9 5l7 7-7 7"],
  undo: ["M8 5L4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3"],
  search: ["M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13z", "M15.5 15.5L21 21"],
  filter: ["M3 6h18M6 12h12M10 18h4"],
  copy: ["M9 9h11v11H9z", "M5 15H4V4h11v1"],
  clock: ["M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z", "M12 7v5l3 2"],
  cross: ["M6 6l12 12M18 6L6 18"],
  link: ["M10 14l10-10M14 4h6v6", "M18 14v6H4V6h6"],
  trash: ["M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13"],
  bell: ["M6 17V11a6 6 0 0 1 12 0v6l2 2H4z", "M10 21h4"],
  table: ["M3 5h18v14H3zM3 10h18M9 10v9"],
  chart: ["M5 20V11M12 20V4M19 20v-6"],
};

// icon draws one of them. It says nothing to those who listen: the words beside it do.
export function icon(name) {
  return svg("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true" }, paths[name].map((d) => svg("path", { d })));
}
