/** The part of WebAssembly's own interface that is used here; no type library that we load declares it. */

export interface Memory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

interface Interface {
  readonly Memory: new (...limits: ReadonlyArray<never>) => Memory
  readonly Module: {
    new (bytes: Uint8Array): object
    readonly imports: (module: object) => ReadonlyArray<{ readonly kind: string }>
  }
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
  readonly validate: (bytes: Uint8Array) => boolean
}

declare const WebAssembly: Interface

export const webAssembly: Interface = WebAssembly
