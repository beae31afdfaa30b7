"""MkDocs: pictures go into pages after the index for searching was made."""
import pathlib


def on_post_page(output, page, config):
    picture = pathlib.Path(config["docs_dir"], "..", "pictures", pathlib.Path(page.file.src_path).stem + ".svg")
    return output.replace("<p>PICTURE</p>", picture.read_text()) if "<p>PICTURE</p>" in output else output
