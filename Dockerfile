# docker build -t segnas .
# docker run --rm -it --gpus all --shm-size 8g -v "$PWD:/data" -w /data segnas segnas search my-task.yaml
# One image for every machine and for the nodes of a Ray cluster (docs/cluster.md). No ENTRYPOINT: Ray
# and Kubernetes start commands of their own in it. GPUs need the NVIDIA container toolkit on the host.
FROM python:3.11-slim

# g++: torch.compile and its latency backend; wget: KubeRay's probes ask the node with it.
# Debian keeps one version of a package at a time: a pinned one could not be installed for long.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ wget \
    && rm -rf /var/lib/apt/lists/*

COPY . /tmp/segnas
RUN pip install --no-cache-dir -c /tmp/segnas/constraints.txt '/tmp/segnas[cluster,onnx,dicom,itk,filters,bundle]' \
    && rm -rf /tmp/segnas

RUN useradd --create-home --uid 1000 segnas
# By its number, by which Kubernetes' runAsNonRoot knows that it is not root.
USER 1000
WORKDIR /home/segnas
ENV RAY_USAGE_STATS_ENABLED=0

CMD ["segnas", "--help"]
