// What of Preact, htm and signals the dashboard uses (static/vendor/preact.js).
export type Child = unknown;
export interface VNode {
  type: unknown;
  props: Record<string, unknown>;
}
export interface Signal<T> {
  value: T;
  peek(): T;
}
export interface Ref<T> {
  current: T;
}
export function h(type: unknown, props?: Record<string, unknown> | null, ...children: Child[]): VNode;
export function render(what: Child, where: Element): void;
export const Fragment: unknown;
export function html(parts: TemplateStringsArray, ...values: unknown[]): VNode;
export function signal<T>(value: T): Signal<T>;
export function computed<T>(make: () => T): Readonly<Signal<T>>;
export function effect(run: () => void | (() => void)): () => void;
export function batch<T>(run: () => T): T;
export function untracked<T>(run: () => T): T;
export function useSignal<T>(value: T): Signal<T>;
export function useComputed<T>(make: () => T): Readonly<Signal<T>>;
export function useSignalEffect(act: () => void): void;
export function useState<T>(first: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
export function useEffect(run: () => void | (() => void), depends?: unknown[]): void;
export function useLayoutEffect(run: () => void | (() => void), depends?: unknown[]): void;
export function useRef<T>(first: T): Ref<T>;
export function useMemo<T>(make: () => T, depends: unknown[]): T;
export function useCallback<T>(call: T, depends: unknown[]): T;
