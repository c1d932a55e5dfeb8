// Package noiommu has tests of VFIO on a machine without IOMMU.
package noiommu
