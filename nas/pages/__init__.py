"""A result as one HTML file for people: made of JSON documents alone, so whatever a database or a file holds opens."""

from nas.pages.documents import of_device, of_result, of_run
from nas.pages.parts import Page
from nas.pages.pictures import write_pictures
from nas.pages.render import fragment, html
from nas.pages.sections import page_of

__all__ = ["Page", "fragment", "html", "of_device", "of_result", "of_run", "page_of", "write_pictures"]
