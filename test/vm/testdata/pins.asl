// A GPIO controller and a serial port whose interrupt is one of its lines, as the firmware of an Intel machine describes
// them, for Linux' own drivers of both (pinctrl-sunrisepoint, 8250_pnp). The registers are memory, see ../pins.go: what
// drivers write stays, and a test writes what hardware would. After a change: iasl -p pins pins.asl
DefinitionBlock ("pins.aml", "SSDT", 2, "IVT", "PINS", 1)
{
    Scope (\_SB)
    {
        Device (PINS)
        {
            Name (_HID, "INT344B")
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0x20000000, 0x1000) // pins 0 to 47
                Memory32Fixed (ReadWrite, 0x20001000, 0x1000) // pins 48 to 119
                Memory32Fixed (ReadWrite, 0x20002000, 0x1000) // pins 120 to 151
                // The line of PCI slot 0x19. On its edge only: its level would be there until the test acknowledges it.
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Shared) { 16 }
            })
        }

        Device (PORT)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 16)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0x20003000, 0x8)
                GpioInt (Edge, ActiveHigh, Exclusive, PullNone, 0, "\\_SB.PINS") { 5 }
            })
        }
    }
}
