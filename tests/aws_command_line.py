"""AWS's command line as far as the documentation uses it: read, and held against AWS's API model, not carried out."""

import json
import os
import subprocess
import sys

import botocore.session
from botocore import xform_name
from botocore.exceptions import ParamValidationError
from botocore.validate import ParamValidator

_OF_EVERY_COMMAND = ("region", "query", "output")

# Stands on the PATH as aws: writes down what it was told, with files read, and answers what is asked for.
_AWS = """#!{python}
import json, os, sys
words = [open(word[7:]).read() if word.startswith("file://") else word for word in sys.argv[1:]]
with open({log!r}, "a") as log:
    log.write(json.dumps(words) + "\\n")
answers = {{
    "Account": "123456789012",
    "IdentityPoolId": f"eu-west-1:1a2b3c4d-0000-1111-2222-{{os.path.getsize({log!r}):012}}",  # each pool's own
    "Role.Arn": "arn:aws:iam::123456789012:role/" + dict(zip(words, words[1:])).get("--role-name", ""),
    "UserPoolClient.ClientId": "1example23456789abcdefghij",
}}
print(answers[words[words.index("--query") + 1]] if "--query" in words else "{{}}")
"""


def operations_in(script, directory):
    """Run ``script`` in a shell; which operations of AWS it calls, each with its parameters."""
    log, aws = directory / "log", directory / "aws"
    aws.write_text(_AWS.format(python=sys.executable, log=str(log)))
    aws.chmod(0o700)
    path = f"{directory}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-euc", script], check=True, cwd=directory, env={"PATH": path}, stdout=subprocess.DEVNULL)
    return [parameters_of(json.loads(line)) for line in log.read_text().splitlines()]


def parameters_of(words):
    """The operation that the words after ``aws`` call, and its parameters.

    Raises KeyError for what AWS does not know, ParamValidationError or ValueError for what it would not take.
    """
    names = _model(words[0]).operation_names
    operation = {xform_name(name, "-"): name for name in names}[words[1]]
    shape = input_of(words[0], operation)
    if shape is None:
        return operation, {}
    members = {xform_name(name, "-"): name for name in shape.members}
    parameters = {}
    for option, values in _options(words[2:]):
        if option not in _OF_EVERY_COMMAND:
            name = members[option.removeprefix("no-")]
            parameters[name] = _value(values or [str(not option.startswith("no-"))], shape.members[name])
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())
    return operation, parameters


def input_of(service, operation):
    """What an operation takes, None where it takes nothing."""
    return _model(service).operation_model(operation).input_shape


def _model(service):
    return botocore.session.get_session().get_service_model(service)


def _options(words):
    """Each option, with the words that follow it."""
    options = []
    for word in words:
        if word.startswith("--"):
            options.append((word[2:], []))
        else:
            options[-1][1].append(word)
    return options


def _value(words, shape):
    """What an option's words mean: JSON, the shorthand ``key=value,…``, a list, a flag, a number or a word."""
    kind = shape.type_name
    if kind in ("list", "map", "structure") and words[0][0] in "[{":
        return json.loads(words[0])
    if kind == "list":
        return [_value([word], shape.member) for word in words]
    (word,) = words
    if kind in ("map", "structure"):
        pairs = dict(pair.split("=", 1) for pair in word.split(","))
        return {
            key: _value([value], shape.value if kind == "map" else shape.members[key]) for key, value in pairs.items()
        }
    if kind == "boolean":
        return {"true": True, "false": False}[word.lower()]
    if kind == "integer":
        return int(word)
    if getattr(shape, "enum", None) and word not in shape.enum:
        raise ValueError(f"{word} is none of {shape.enum}")
    return word
