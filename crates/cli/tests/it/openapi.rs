//! Holds answers of the HTTP listener against docs/openapi.json: no field that is not described, none missing, each of its type.

use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// Panics unless `answer` is what the document says that `method path` answers.
pub fn check(method: &str, path: &str, answer: &Value) {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let response = &document["paths"][path][method]["responses"]["200"];
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} is not described");
    let mut wrong = Vec::new();
    compare(&document, schema, answer, path, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn compare(document: &Value, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        let target = document.pointer(target.strip_prefix('#').unwrap()).unwrap();
        return compare(document, target, value, place, wrong);
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong.push(format!("{place}: {value} is none of {allowed:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if !types.is_empty() && !types.contains(&type_of(value)) {
        return wrong.push(format!("{place}: {value} is not {types:?}"));
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        compare(document, &schema["items"], item, &format!("{place}[{at}]"), wrong);
    }
    let Some(fields) = value.as_object() else { return };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            wrong.push(format!("{place}: {required} is missing"));
        }
    }
    for (name, field) in fields {
        match schema["properties"].get(name) {
            Some(known) => compare(document, known, field, &format!("{place}.{name}"), wrong),
            None => wrong.push(format!("{place}: {name} is not described")),
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
