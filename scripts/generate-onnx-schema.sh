#!/bin/sh
# Regenerates src/onnx/onnx_pb.ts from ONNX's proto2 schema:
#   scripts/generate-onnx-schema.sh path/to/onnx/onnx.proto 1.23.0
# Needs protoc and @bufbuild/protoc-gen-es. Comments of the schema are removed first.
set -eu
schema=$1
version=$2
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -e 's://.*$::' "$schema" >"$work/onnx.proto"
protoc --proto_path="$work" \
  --plugin=protoc-gen-es="$root/node_modules/.bin/protoc-gen-es" \
  --es_out="$work" --es_opt=target=ts,erasable_syntax=true,import_extension=none "$work/onnx.proto"
{
  printf '/** Messages of ONNX %s. The schema is that of ONNX (Apache-2.0), its comments removed; ' "$version"
  printf 'regenerate with scripts/generate-onnx-schema.sh. */\n'
  cat "$work/onnx_pb.ts"
} >"$root/src/onnx/onnx_pb.ts"
