/** Examples of the help that are about an image: they need a registry. */
export const IMAGE_EXAMPLES = /registry\.example\.com|Dockerfile|deployment\.yaml/;
