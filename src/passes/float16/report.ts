/** What half precision made of a model, for reports. */

/** A node that is computed in float32 all the same. */
export interface KeptNode {
  readonly node: string
  /** In words that continue "stays in float32: ". */
  readonly reason: string
}

/** Finite numbers beyond half precision that an operator only chooses among, as a mask of attention does. */
export interface ClampedConstant {
  readonly constant: string
  readonly elements: number
}

export interface Float16Report {
  /** Whether inputs and outputs are of the types that they were. */
  readonly keepsIoTypes: boolean
  /** Nodes that read or make float32 in the model that was changed, by what they compute in now. */
  readonly nodes: { readonly float16: number; readonly float32: number }
  /** Conversions that were put in between. */
  readonly casts: number
  /** Bytes of all constants. */
  readonly bytes: { readonly before: number; readonly after: number }
  /** Nodes that stay in float32 for a reason of their own; others do since nothing that they read is in half precision. */
  readonly kept: ReadonlyArray<KeptNode>
  /** Constants of which numbers were clamped, and to what magnitude. */
  readonly clamped: ReadonlyArray<ClampedConstant>
  readonly clampedTo: number
}
