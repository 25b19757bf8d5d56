/** The one function of node:util that is used where models are run: ONNX Runtime writes no colours in a browser. */
export const stripVTControlCharacters = (text: string): string => text
