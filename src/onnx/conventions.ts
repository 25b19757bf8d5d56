/** How parts of a file that the IR has no field for are kept in a graph, between reading and writing. */

/** The default operator domain has two spellings; the IR uses the empty one. */
export const domainOf = (domain: string): string => (domain === 'ai.onnx' ? '' : domain)

/**
 * A sparse initializer is an opaque node without inputs, of this domain and operator name, whose payload is the
 * serialised SparseTensorProto.
 */
export const sparseInitializer = { domain: 'chasec.preserved', opType: 'SparseInitializer' } as const
