// crictl stands in for cri-tools' program of that name, of which kind needs two commands inside a node: whether an image
// is there and its id, and the list of all images for its log export. The real module is not on every module proxy.
//
//	crictl inspecti IMAGE
//	crictl images
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const socket = "unix:///run/containerd/containerd.sock"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	connection, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	images := cri.NewImageServiceClient(connection)
	switch {
	case len(args) == 2 && args[0] == "inspecti":
		return inspect(ctx, images, args[1])
	case len(args) == 1 && args[0] == "images":
		return list(ctx, images)
	}
	return fmt.Errorf("usage: crictl inspecti IMAGE | crictl images")
}

func inspect(ctx context.Context, images cri.ImageServiceClient, name string) error {
	reply, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	if reply.Image == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	status := map[string]any{"id": reply.Image.Id, "repoTags": reply.Image.RepoTags, "repoDigests": reply.Image.RepoDigests}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"status": status})
}

func list(ctx context.Context, images cri.ImageServiceClient) error {
	reply, err := images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, image := range reply.Images {
		fmt.Println(image.Id, image.RepoTags)
	}
	return nil
}
