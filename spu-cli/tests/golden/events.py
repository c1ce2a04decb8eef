"""Writes events.out.tfevents beside itself, with the Python package tensorboard (2.21)."""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def scalars(time, step, **values):
    values = [Summary.Value(tag=tag.replace("_", "/"), simple_value=v) for tag, v in values.items()]
    return Event(wall_time=time, step=step, summary=Summary(value=values))


with open(Path(__file__).parent / "events.out.tfevents", "wb") as file:
    writer = RecordWriter(file)
    for event in (
        Event(wall_time=1000.5, file_version="brain.Event:2"),
        scalars(1001.25, 0, train_loss=2.5),
        scalars(1002.0, 300, train_loss=-0.1, evaluation_accuracy=0.0),
    ):
        writer.write(event.SerializeToString())
