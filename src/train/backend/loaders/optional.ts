/** Packages that need not be installed, and of whose types nothing is known. */

/** Imports a package that need not be installed. */
export const importOptional = async (name: string): Promise<unknown> => import(name)

/** A property of something of unknown type. */
export const property = (value: unknown, name: string): unknown =>
  (typeof value === 'object' || typeof value === 'function') && value !== null ? Reflect.get(value, name) : undefined
