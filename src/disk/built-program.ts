/** Where the programs are that run in processes and threads of their own. Node only. */

/**
 * The file `path` of the folder that the build makes. Asked from there, whatever was bundled into what, it is beside; asked from
 * a TypeScript source, as in tests, it is that of the last build.
 */
export const builtProgram = (path: string): URL =>
  new URL(import.meta.url.replace(/^(.*)\/(?:src|dist)\/.*$/, `$1/dist/${path}`))
