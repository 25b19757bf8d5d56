/** The part of WebAssembly's own interface that is used here; no type library that we load declares it. */

export interface Memory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

interface Interface {
  /** Sizes are in pages of 64 KiB. */
  readonly Memory: new (limits: {
    readonly initial: number
    readonly maximum: number
    readonly shared: boolean
  }) => Memory
  readonly Module: {
    new (bytes: Uint8Array): object
    readonly exports: (module: object) => ReadonlyArray<{ readonly name: string }>
  }
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
  readonly validate: (bytes: Uint8Array) => boolean
}

declare const WebAssembly: Interface

export const webAssembly: Interface = WebAssembly
