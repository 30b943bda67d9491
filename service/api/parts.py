"""Parts of a message, as clients send them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.api.fields import VERSION_MAX, Body, refusal
from service.domain.parts import FileReferencePart, Part, TextPart

Line = Annotated[int, Field(ge=1, le=VERSION_MAX)]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class TextInput(Body):
    """Text; blanks round it do not count, and it may not be empty without them."""

    type: Literal["text"]
    text: Said

    def part(self) -> Part:
        return TextPart(text=self.text)


class FileReferenceInput(Body):
    """Lines of a file that the user points at."""

    type: Literal["file-reference"]
    file_name: Said
    start_line: Line
    end_line: Line
    content: str

    @model_validator(mode="after")
    def _in_order(self) -> FileReferenceInput:
        if self.end_line < self.start_line:
            raise refusal("end_line is before start_line")
        return self

    def part(self) -> Part:
        return FileReferencePart(
            file_name=self.file_name,
            start_line=self.start_line,
            end_line=self.end_line,
            content=self.content,
        )


class FileInput(Body):
    """An uploaded file. There are none yet, so any id is unknown."""

    type: Literal["file"]
    file_id: UUID

    @field_validator("file_id")
    @classmethod
    def _unknown(cls, _: UUID) -> UUID:
        raise refusal("there is no such file")

    def part(self) -> Part:
        raise AssertionError("no file passes its validation")


InputPart = Annotated[
    TextInput | FileReferenceInput | FileInput, Field(discriminator="type")
]
Content = Annotated[list[InputPart], Field(min_length=1)]
