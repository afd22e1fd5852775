// As much of xterm.js as the terminal page uses.
export class Terminal {
  [name: string]: any;
  constructor(options?: Record<string, unknown>);
}
