// Schemas of requests, compiled by the first request that needs one, and once for all gateways of a file.
//
// A gateway compiles all of them when it starts (test/serve sees to that), which takes longer than most tests do.

import type { Ajv, AnySchemaObject, ValidateFunction } from 'ajv'

/** of schema objects, which every gateway of a process shares */
const compiled = new WeakMap<AnySchemaObject, ValidateFunction>()

export function compileWhenUsed(ajv: Ajv): void {
  const compile = ajv.compile.bind(ajv)
  const compileLater = (schema: AnySchemaObject) => {
    const check = (data: unknown) => {
      let validate = compiled.get(schema)
      if (!validate) {
        validate = compile(schema)
        compiled.set(schema, validate)
      }
      const isValid = validate(data)
      check.errors = validate.errors
      return isValid
    }
    check.errors = null as ValidateFunction['errors']
    return check
  }
  ajv.compile = compileLater as typeof ajv.compile
}
