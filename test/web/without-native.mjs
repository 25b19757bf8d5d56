/** Makes Node run models in WebAssembly, as where onnxruntime-node could not be installed: a module hook that knows no such package. */
import { register } from 'node:module'

const hook = `export const resolve = (specifier, context, next) => {
  if (specifier === 'onnxruntime-node') {
    throw Object.assign(new Error("Cannot find package 'onnxruntime-node'"), { code: 'ERR_MODULE_NOT_FOUND' })
  }
  return next(specifier, context)
}`

register(`data:text/javascript,${encodeURIComponent(hook)}`)
