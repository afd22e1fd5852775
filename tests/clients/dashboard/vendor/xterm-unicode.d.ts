export class Unicode11Addon {
  [name: string]: any;
}
