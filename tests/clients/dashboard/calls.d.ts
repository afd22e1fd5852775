// What each call of our own HTTP API takes and answers, found by its path: made from schema.d.ts, which `openapi-typescript` makes of
// our OpenAPI document when the tests run. A path that there is not answers `never`, so whatever is read from it is an error.
import type { Signal as PreactSignal } from "../static/vendor/preact.js";
import type { components, paths } from "./schema";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

// Whether the path of a call (with `${string}` where an id stands) is that of this entry (with `{id}` there).
type Fits<Given extends string, Known extends string> = Known extends `${infer KnownPart}/${infer KnownRest}`
  ? Given extends `${infer Part}/${infer Rest}`
    ? KnownPart extends `{${string}}`
      ? Fits<Rest, KnownRest>
      : Part extends KnownPart
        ? Fits<Rest, KnownRest>
        : false
    : false
  : Known extends `{${string}}`
    ? Given extends `${string}/${string}`
      ? false
      : true
    : Given extends Known
      ? true
      : false;

type WithoutQuery<Given extends string> = Given extends `${infer Path}?${string}` ? Path : Given;
type Entry<Given extends string> = { [Known in keyof paths]: Fits<WithoutQuery<Given>, Known> extends true ? paths[Known] : never }[keyof paths];
type Json<Response> = Response extends { content: { "application/json": infer Body } } ? Body : never;
type Good<Operation> = Operation extends { responses: infer Answers } ? Json<Answers[keyof Answers & (200 | 201 | 202)]> : never;

type Found<Verb extends Method, Given extends string> = Entry<Given> extends infer One
  ? One extends { [Key in Lowercase<Verb>]: infer Operation }
    ? Good<Operation>
    : never
  : never;

// The names that the dashboard's JSDoc uses, everywhere and without an import.
declare global {
  type Signal<T> = PreactSignal<T>;
  type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];
  type Session = Schema<"SessionView">;
  type Waiting = NonNullable<Session["waiting"]>;
  type Waits = Session & { waiting: Waiting };
  type JournalEvent = Omit<Schema<"Event">, "data"> & { data: any; node?: string };
  type Answer<Verb extends Method, Path extends string> = Found<Verb, Path>;
  type Got<Path extends string> = Found<"GET", Path>;
  interface Element {
    dataset: DOMStringMap;
    click(): void;
  }
  interface Window {
    trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): any } };
  }
}
