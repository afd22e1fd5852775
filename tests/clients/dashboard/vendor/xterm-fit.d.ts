export class FitAddon {
  [name: string]: any;
}
