"""
Intake of data: files, documents and groups, for the command line, HTTP and Python alike.

    data = DataIntake(home.ports, home.do, see=home.see)
    data.put_many([Path("pictures")])
    data.import_document(Path("labels.csv").open("rb"), "csv", name="labels", files=Path("pictures"))
    data.group(Selection(["doc-…"], query="class:9"), name="nines", purpose="training")

Large things never stand in memory: files are streamed, documents are read row by row, and what is to be appended lies
in a temporary file until it is.
"""

from mlife.data.intake.documents import Imported
from mlife.data.intake.files import FilesPut, Put
from mlife.data.intake.grouping import Grouped, Selection
from mlife.data.intake.whole import DataIntake, local_path

__all__ = ["DataIntake", "FilesPut", "Grouped", "Imported", "Put", "Selection", "local_path"]
