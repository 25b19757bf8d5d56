/** Operators of domains other than ONNX's own: in the IR their names begin with the domain, `com.microsoft.FusedConv`. */

/** The name in the IR of an operator of a domain; `''` is ONNX's own. */
export const qualified = (domain: string, opType: string): string => (domain === '' ? opType : `${domain}.${opType}`)

/** The domain and the operator's name in it, as files hold them. */
export const unqualified = (name: string): { readonly domain: string; readonly opType: string } => {
  const dot = name.lastIndexOf('.')
  return { domain: name.slice(0, Math.max(0, dot)), opType: name.slice(dot + 1) }
}
